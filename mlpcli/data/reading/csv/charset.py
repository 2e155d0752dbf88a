# ruff: noqa: RUF001 (letters that look like ASCII)
"""Detection of the charset of a text that is not UTF-8, from its fields with non-ASCII bytes.

Windows-1252 (Latin-1) is preferred if its letters are those of one Western European language and most letters are
ASCII: detection by letter frequencies mistakes German with few umlauts for Chinese.

Words without ASCII letters are compared by likelihood: of the letters of each alphabet under each of its charsets, and
of the characters of each double-byte charset. So few words decide, where statistics of whole texts do not.
"""

import importlib
import math
import re
import unicodedata

NON_ASCII_FIELD = re.compile(rb'[^\n\r,;\t"]*[\x80-\xff][^\n\r,;\t"]*')
MAX_SAMPLE_SIZE = 1 << 16
# So few non-ASCII bytes are too few for detection by frequencies: an alphabet of Latin letters is most likely.
FEW_NON_ASCII = 6
# Non-ASCII letters of German, French, Spanish, Portuguese, Italian, Nordic; of Polish, Czech, Slovak, Hungarian,
# Croatian and Slovene, Romanian; of Turkish.
WESTERN = ("äöüß", "àâæçéèêëîïôœùûüÿ", "áéíñóúü", "áâãàçéêíóôõú", "àèéìòù", "åäöæøé")
CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "čćđšž", "ăâîşţ")
TURKISH = ("çğı\u0307öşüâîû",)
# The same in DOS, without the letters that begin katakana of Shift-JIS; its brackets are the most frequent others.
DOS = ("äöüß", "àçèéêëîïôùû", "áéíñóú")
FULL_WIDTH_BRACKET = re.compile(rb"\x81[ij]")
ALPHABETS = (("cp1252", WESTERN), ("cp1250", CENTRAL), ("iso8859_2", CENTRAL), ("cp1254", TURKISH))
# Symbols whose bytes are letters in other encodings: within a word they mean a wrong encoding, but not in m³ and ¿Qué.
# Low quotes and daggers never follow a letter.
SYMBOL_IN_WORD = re.compile(
    r"[^\W\d_][‚„†‡ˆ]|[^\W\d_][“”™][^\W\d_]|[^\W\d_mM][¡¢£¥¦¬±³¶¹¼¾¿](?!\d)|[¢£¥¦¬®±³¶¹¼¾¿]+[^\W\d_A-Z]|[\x80-\x9f]"
)
LATIN_ENCODINGS = ["cp1252", "cp1250", "iso8859_2", "cp1254", "cp1257", "cp850"]
CYRILLIC_ENCODINGS = ["cp1251", "cp866", "iso8859_5", "koi8_r"]
ASIAN_ENCODINGS = ["cp932", "euc_jp", "gb18030", "big5", "cp949"]
# Russian, Greek, Hebrew: charsets, letters by falling frequency, without accents, and a pattern of impossible words.
# The fraction of the letter of rank r is nearly exp(-r / LETTER_DECAY) / LETTER_DECAY.
SCRIPTS = (
    (
        CYRILLIC_ENCODINGS,
        "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё",
        re.compile("^[ьъы]|[аеёиоуыэюя][ьъ]|^[^аеёиоуыэюя]{3,}$"),
    ),
    (["cp1253"], "αοιετσνηυρπκμλωδγχθφβξζψς", re.compile("ς.|σ$|[άέήίόύώ].*[άέήίόύώ]|^[^άέήίόύώ]{4,}$")),
    (["cp1255"], "יוהלארתבשמנכדקעחפצגטזסםןףךץ", re.compile("[םןףךץ].")),
)
LETTER_DECAY = 9.0
# Negative log-likelihoods: of a symbol among letters, a word in capitals, an impossible or oddly capitalized one.
SYMBOL_COST, CAPITALS_COST, IRREGULAR_COST = 8.0, 2.0, 8.0
# First bytes of the frequent characters of each double-byte charset, and negative log-likelihoods of characters.
FREQUENT = {
    "cp932": (0x88, 0x97),
    "euc_jp": (0xB0, 0xCF),
    "gb18030": (0xB0, 0xD7),
    "big5": (0xA4, 0xC6),
    "cp949": (0xB0, 0xC8),
}
KANA_COST, FREQUENT_COST, RARE_COST = 5.0, 8.0, 12.0
UNSURE = 5.0  # difference of log-likelihoods
MAX_WORDS = 200
OTHER_ENCODINGS = [*CYRILLIC_ENCODINGS, "cp1253", "cp1255", "cp1256", *ASIAN_ENCODINGS]


def detected_encoding(data: bytes) -> tuple[str, str]:
    """Detect the encoding of a text that is mostly ASCII; "cp1252" if there is no evidence for another one.

    The second name is that of an encoding which is nearly as likely, "" if there is none.
    """
    whole_lines = data[: data.rfind(b"\n") + 1]
    fields = NON_ASCII_FIELD.findall(whole_lines) or NON_ASCII_FIELD.findall(data)
    sample = b"\n".join(fields)[:MAX_SAMPLE_SIZE]
    n_non_ascii, n_letters = len(re.findall(rb"[\x80-\xff]", sample)), len(re.findall(rb"[A-Za-z0-9]", sample))
    is_latin = n_non_ascii <= max(n_letters, FEW_NON_ASCII)
    likely = _most_likely(sample)
    if likely and likely[0] not in FREQUENT:
        return likely[0], "".join(likely[1:2])
    pairs = [(name, alphabet) for name, alphabets in ALPHABETS for alphabet in alphabets]
    matches = (name for name, alphabet in pairs if _is_written_in(sample, name, alphabet))
    if is_latin and not likely and (encoding := next(matches, "")):
        return encoding, ""
    is_dos = not likely and 3 * n_non_ascii <= 2 * n_letters and FULL_WIDTH_BRACKET.search(sample) is None
    if is_dos and any(_is_written_in(sample, "cp850", alphabet) for alphabet in DOS):
        return "cp850", ""
    charset_normalizer = importlib.import_module("charset_normalizer")
    candidates = likely or LATIN_ENCODINGS * is_latin + OTHER_ENCODINGS
    match = charset_normalizer.from_bytes(sample, cp_isolation=candidates).best()
    if match is None and likely:
        return likely[0], ""
    if match is None or match.encoding in LATIN_ENCODINGS:
        # Names from many countries have letters of several languages.
        all_letters = [(name, "".join(alphabets)) for name, alphabets in ALPHABETS]
        fallback = "cp1252" if match is None else str(match.encoding)
        return next((name for name, letters in all_letters if _is_written_in(sample, name, letters)), fallback), ""
    return str(match.encoding), ""


def _most_likely(sample: bytes) -> list[str]:
    """The charsets under which words without ASCII letters are most likely, the best one first, and others of its kind.

    Other double-byte charsets, or nearly as likely charsets of alphabets. Empty if there are words with ASCII letters.
    """
    distinct = dict.fromkeys(re.split(rb"[\0-\x40\x5b-\x60\x7b-\x7f]+", sample))  # in order, unlike a set of bytes
    words = [word for word in distinct if len({*word}) > 1][:MAX_WORDS]
    if not words or any(re.search(rb"[A-Za-z]", word) for word in words):
        return []
    costs = {
        encoding: sum(_letter_cost(word.decode(encoding, "replace"), letters, impossible) for word in words)
        for encodings, letters, impossible in SCRIPTS
        for encoding in encodings
    }
    costs |= {encoding: sum(_character_cost(word, encoding) for word in words) for encoding in FREQUENT}
    ranked = sorted(costs, key=costs.__getitem__)
    alike = [name for name in ranked if (name in FREQUENT) == (ranked[0] in FREQUENT)]
    limit = costs[ranked[0]] + (RARE_COST if ranked[0] in FREQUENT else UNSURE)
    return [name for name in alike if costs[name] < limit]


def _letter_cost(word: str, letters: str, impossible: "re.Pattern[str]") -> float:
    """Negative log-likelihood of a word of an alphabet."""
    lower = word.lower()
    ranks = [letters.find(char if char in letters else unicodedata.normalize("NFD", char)[0]) for char in lower]
    cost = sum(SYMBOL_COST if rank < 0 else math.log(LETTER_DECAY) + rank / LETTER_DECAY for rank in ranks)
    if impossible.search(lower) or word not in (lower, lower.capitalize(), lower.upper()):
        return cost + IRREGULAR_COST
    return cost + CAPITALS_COST * (word not in (lower, lower.capitalize()))


def _character_cost(word: bytes, encoding: str) -> float:
    """Negative log-likelihood of a word of a double-byte charset."""
    cost, (first, last) = 0.0, FREQUENT[encoding]
    for char in word.decode(encoding, "replace"):
        if "\u3040" <= char <= "\u30ff" or "\uff66" <= char <= "\uff9f":
            cost += KANA_COST
        else:
            lead = char.encode(encoding, "replace")[0]
            cost += FREQUENT_COST if first <= lead <= last else RARE_COST
    return cost


def _is_written_in(sample: bytes, encoding: str, alphabet: str) -> bool:
    """Whether all non-ASCII letters are in the alphabet and no symbol occurs within a word."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return False
    letters = {char for char in text.lower() if not char.isascii() and char.isalpha()} - set("µªº")
    return letters <= set(alphabet) and not SYMBOL_IN_WORD.search(text)
