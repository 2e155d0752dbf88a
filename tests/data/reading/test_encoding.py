# ruff: noqa: RUF001 (letters that look like ASCII are what is tested)
import io
import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpcli.data.reading.byte_stream import ByteStream
from mlpcli.data.reading.csv import encoding
from mlpcli.data.reading.csv.encoding import TextBlocks
from mlpcli.errors import DataError


def read_text(data, given_encoding=None):
    blocks = TextBlocks(ByteStream("t.csv", io.BytesIO(data)), given_encoding)
    text = b"".join(iter(blocks.read, b"")).decode()
    return text, blocks


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_utf_8_and_encodings_with_a_byte_order_mark_are_detected(codec):
    text, blocks = read_text("naïve,Ω\n".encode(codec))
    assert text == "naïve,Ω\n"
    assert blocks.encoding == codec.removesuffix("-sig")
    assert blocks.notes == []


def test_bytes_that_are_not_utf_8_after_ascii_are_read_as_cp1252_with_a_note():
    text, blocks = read_text("a\nb\ncafé €\n".encode("cp1252"))
    assert text == "a\nb\ncafé €\n"
    assert blocks.encoding == "cp1252"
    assert blocks.notes == [
        "t.csv: read as cp1252, which is a guess (café €): not valid UTF-8 at line 3 (see data.encoding)."
    ]


def test_bytes_that_are_not_utf_8_after_utf_8_are_an_error_that_names_the_line():
    with pytest.raises(DataError) as caught:
        read_text(b"\xc3\xa9\r\n\r\n\xe9\r\n")
    assert str(caught.value) == (
        "t.csv:3: byte 0xe9 is not valid utf-8. Save the file as UTF-8, "
        "or name its encoding with --encoding / data.encoding (cp1252, for example)."
    )


LANGUAGES = [
    ("cp1252", "stadt,x\nMünchen,1\nKöln,2\nDüsseldorf,3\n"),
    ("cp1252", "größe\n1\n"),
    ("cp1252", "nom;ville\nRené;Orléans\nFrançois;Besançon\n"),
    ("cp1252", "a\nZürich\nMálaga\nOrléans\nÅrhus\nSão Paulo\n"),
    ("cp1252", "a,b\n“don’t”,m²\n10€,20 °C\n"),
    ("cp1250", "imię,miasto\nŁukasz,Łódź\nWiśniewska,Gdańsk\nŻaneta,Kraków\n"),
    ("cp1250", "a,b\n1,Michał\n"),
    ("cp1250", "jméno;město;plat\nJiří Dvořák;Plzeň;3\nŠtěpán Žižka;České Budějovice;4\n"),
    ("cp1250", "name\nKovács\nTóth\nKőszegi\nGyűrű\n"),
    ("cp1250", "a\nŁódź\nZürich\nMálaga\nDvořák\n"),
    ("cp1251", "имя;город\nИван;Москва\nОльга;Санкт-Петербург\n"),
    ("cp1251", "city,y\nМосква,1\nКазань,0\n"),
    ("koi8_r", "имя;город\nИван;Москва\nОльга;Санкт-Петербург\n"),
    ("cp866", "city,y\nМосква,1\nСанкт-Петербург,0\nКазань,1\nНижний Новгород,0\n"),
    ("iso8859_5", "city,y\nМосква,1\nСанкт-Петербург,0\nКазань,1\nНижний Новгород,0\n"),
    ("cp1253", "όνομα,πόλη\nΓιώργος,Αθήνα\n"),
    ("cp1254", "isim,şehir\nAyşe,İstanbul\nÇağlar,Eskişehir\n"),
    ("cp932", "名前,都市\n山田,東京\n鈴木,大阪\nさくら,京都\n"),
    ("gb18030", "姓名,城市\n王伟,北京\n李娜,上海\n张敏,广州\n"),
    ("big5", "姓名,城市\n王偉,臺北\n李娜,高雄\n"),
    ("cp949", "이름,도시\n김철수,서울\n이영희,부산\n"),
]


WORDS = [
    ("cp1250", "mąka\nśliwka\nźrebię\n"),
    ("iso8859_2", "mąka\nmasło\n"),
    ("iso8859_2", "łąka\n"),
    ("iso8859_2", "Łódź\nKraków\nŚląsk\n"),
    ("iso8859_2", "žluť\nšvestka\nřeka\n"),
    ("iso8859_2", "žuto\nšljiva\nčaša\nđak\n"),
    ("cp1254", "kırmızı\nsarı\nyeşil\nmavi\n"),
    ("cp1254", "düşük\nyüksek\n"),
    ("cp1254", "İstanbul\nŞanlıurfa\n"),
    ("cp1252", "tol±5\nétat\n25±1\n"),
    ("cp1252", "don’t\n„süß“\nNr. 5†\n"),
    ("cp1252", "Paragraph\n§§ 3\n"),
    ("cp850", "grün\nrot\ngrün\n"),
    ("cp850", "groß\nschön\nKäse\n"),
    ("cp850", "modéré\nélevé\n"),
    ("koi8_r", "красный\nсиний\nбелый\n"),
    ("koi8_r", "город\nсело\nМосква\n"),
    ("cp1251", "да\nнет\nВЫСОКИЙ\n"),
    ("cp1253", "ναι\nόχι\n"),
    ("cp932", "テスト\nデータ\n"),
    ("cp932", "ビル\n"),
    ("cp932", "Size（cm）\n"),
    ("cp932", "ｱｲｽ\nｶﾚｰ\n"),
    ("cp1255", "שלום\nאדום\nכחול\nירוק\nירושלים\n"),
    ("cp949", "서울\n부산\n"),
    ("gb18030", "红色\n蓝色\n绿色\n"),
]


@pytest.mark.parametrize(("codec", "text"), [*LANGUAGES, *WORDS])
def test_the_encoding_of_a_language_is_detected_after_much_ascii_too(codec, text):
    for before in ("", "x,y\n1,2\n" * 1000):
        text_read, blocks = read_text((before + text).encode(codec))
        assert text_read == before + text
        assert blocks.encoding == codec
        line = before.count("\n") + 1 + text[: next(i for i, char in enumerate(text) if not char.isascii())].count("\n")
        (note,) = blocks.notes
        assert re.fullmatch(
            rf"t\.csv: read as {codec}, which is a guess \((.+)\): not valid UTF-8 at line {line} .*", note
        )
        assert note.split("(")[1].split("): ")[0] in text


def test_few_words_that_are_as_likely_in_another_alphabet_are_noted_as_such():
    _, blocks = read_text("שלום\nאדום\n".encode("cp1255"))
    assert blocks.encoding == "cp1251"
    assert blocks.notes[0].endswith("(see data.encoding). It may as well be cp1255 (שלום).")


def test_the_first_words_of_a_long_text_decide_so_that_each_reading_detects_the_same():
    words = ["".join(letters) for letters in product("יוהלארתבשמנכדקע", repeat=3)][::7]
    lines = [word if number < 250 else f"{word} {number:x}Ltd" for number, word in enumerate(words)]
    assert read_text("\n".join(lines).encode("cp1255"))[1].encoding == "cp1255"


def test_a_byte_that_is_invalid_in_the_detected_encoding_is_an_error():
    with pytest.raises(DataError, match=r"^t\.csv:70002: byte 0x81 is not valid utf-8 or cp1252\. Save the file"):
        read_text("Köln\n".encode("cp1252") + b"Bonn 3, Ulm 25\n" * 70_000 + b"K\x81ln\n")


def test_a_named_encoding_is_used_and_never_left():
    assert read_text("é\n".encode("latin-1"), "latin-1")[0] == "é\n"
    with pytest.raises(DataError) as caught:
        read_text(b"a\n\xe9\n", "utf-8")
    assert str(caught.value) == (
        "t.csv:2: byte 0xe9 is not valid utf-8. Correct --encoding / data.encoding, or leave it out to detect it."
    )


@pytest.mark.parametrize("name", ["uft8", "base64", "", "a\0b"])
def test_a_name_that_is_no_encoding_of_text_is_an_error(name):
    with pytest.raises(
        DataError, match=r"is not a known encoding. --encoding / data.encoding is for example utf-8, cp1252"
    ):
        read_text(b"a\n", name)


def test_a_nul_byte_is_an_error_that_names_the_line():
    with pytest.raises(DataError) as caught:
        read_text(b"a\nb\0\n")
    assert str(caught.value) == (
        "t.csv:2: a NUL byte. The file is damaged or not text; "
        "if it is UTF-16, name its encoding with --encoding / data.encoding (utf-16-le or utf-16-be)."
    )


@given(
    st.text(st.sampled_from("ab\r\néΩ𝄞,"), max_size=30),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.integers(1, 7),
)
def test_where_blocks_end_makes_no_difference(text, codec, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "BLOCK_SIZE", size + 3)  # a byte order mark is never cut: real blocks are larger
        text_read, _ = read_text(text.encode(codec))
    assert text_read == text.replace("\r\n", "\n").replace("\r", "\n")


@given(st.integers(1, 9))
def test_cp1252_is_detected_wherever_a_block_ends(size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "BLOCK_SIZE", size)
        text, blocks = read_text(b"a\r\nb\r\ncaf\xe9\r\nd\r\n")
    assert text == "a\nb\ncafé\nd\n"
    assert blocks.notes == [
        "t.csv: read as cp1252, which is a guess (café): not valid UTF-8 at line 3 (see data.encoding)."
    ]
