"""Line charts in a terminal, drawn with braille characters of 2 x 4 dots, with labels at the ends of the curves."""

import math
from collections.abc import Iterator, Sequence

from mlpcli.cli.document import Cell, Chart, Curve, Tone
from mlpcli.messages import cut_distinctly, cut_middle, display_width, escape_line

CURVE_TONES: tuple[Tone, ...] = ("cyan", "magenta", "blue", "yellow", "green", "red")
ROWS = 14  # lines of the plot, without its axis
MOST_COLUMNS = 110  # of the chart
USUAL_COLUMNS = 80  # if the width is unknown
MOST_TICKS = 5
NAME_PART = 3  # names take at most width / NAME_PART
BLANK = 0x2800  # the braille character without dots
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # of a character, by column and by row from the top
MARK = "▲"


def chart_text(chart: Chart) -> str:
    """The chart without colour, in USUAL_COLUMNS."""
    return "\n".join("".join(cell.text for cell in line) for line in chart_lines(chart, None))


def chart_lines(chart: Chart, width: int | None, rows: int = ROWS) -> list[list[Cell]]:
    """The plot, its axes, and the name of each curve at its end, in at most `width` columns."""
    curves = [curve for curve in chart.curves if curve.x]
    if not curves:
        return [[Cell("no points to show", "faint")]]
    width = min(width or USUAL_COLUMNS, MOST_COLUMNS)
    y_axis = _Axis.of([y for curve in curves for y in curve.y], rows * 4, chart.is_log)
    x_axis_values = [x for curve in curves for x in curve.x]
    names = _names(curves, max(width // NAME_PART, 6))
    labels = {rows - 1 - y_axis.dot(value) // 4: text for value, text in y_axis.ticks(MOST_TICKS)}
    left = max(map(len, labels.values()), default=0)
    columns = width - left - 2 - 1 - max(map(display_width, names))
    x_axis = _Axis.of(x_axis_values, columns * 2, is_log=False)
    canvas = _Canvas(columns, rows)
    for curve, tone in zip(curves, _tones(curves), strict=True):
        canvas.draw([(x_axis.dot(x), y_axis.dot(y)) for x, y in zip(curve.x, curve.y, strict=True)], tone)
    ends = _ends(curves, y_axis, rows)
    lines = []
    for row in range(rows):
        label = labels.get(row, "")
        line = [Cell(f"{label:>{left}} {'┤' if label else '│'}", "faint"), *canvas.cells(row)]
        if row in ends:
            line.append(Cell(" " + names[ends[row]], _tones(curves)[ends[row]]))
        lines.append([*line[:-1], Cell(line[-1].text.rstrip(), line[-1].tone)])
    return [*lines, *_x_lines(chart, x_axis, columns, left, width)]


def _names(curves: Sequence[Curve], width: int) -> list[str]:
    """The name of each curve in at most `width` columns, truncated so that they differ if possible."""
    names = [escape_line(curve.name) for curve in curves]
    cuts = cut_distinctly(names, width) or {name: cut_middle(name, width) for name in names}
    return [cuts[name] for name in names]


def _tones(curves: Sequence[Curve]) -> list[Tone]:
    return [CURVE_TONES[index % len(CURVE_TONES)] for index in range(len(curves))]


def _ends(curves: Sequence[Curve], y_axis: "_Axis", rows: int) -> dict[int, int]:
    """The index of the curve whose name is in a row, by row: the free row nearest to its end."""
    curve_in_row: dict[int, int] = {}
    for index, curve in enumerate(curves):
        row = rows - 1 - y_axis.dot(curve.y[-1]) // 4
        free = [other for other in range(rows) if other not in curve_in_row]
        if free:
            curve_in_row[min(free, key=lambda other: (abs(other - row), other))] = index
    return curve_in_row


def _x_lines(chart: Chart, axis: "_Axis", columns: int, left: int, width: int) -> list[list[Cell]]:
    """The x axis with its mark, and the tick labels with its name."""
    ticks = axis.ticks(max(columns // 12, 2))
    if all(float(x).is_integer() for curve in chart.curves for x in curve.x):  # no ticks at half epochs
        ticks = [(value, label) for value, label in ticks if float(value).is_integer()] or ticks
    labels = {axis.dot(value) // 2: label for value, label in ticks}
    rule = ["┬" if column in labels else "─" for column in range(columns)]
    text = ""
    for column, label in sorted(labels.items()):
        start = max(column - len(label) // 2, 0)
        if start > len(text) or not text:
            text = text.ljust(start) + label
    line = [Cell(f"{'':>{left}} └" + "".join(rule), "faint")]
    if chart.marked is not None:
        column = axis.dot(chart.marked) // 2
        before, after = "".join(rule[:column]), "".join(rule[column + 1 :])
        line = [Cell(f"{'':>{left}} └{before}", "faint"), Cell(MARK, "good"), Cell(after, "faint")]
    # If the name of the axis does not fit, omit the last tick label.
    room = width - left - 2 - len("  ") - display_width(chart.x_name)
    if display_width(text) > room:
        text = text[: max(text.rfind(" ", 0, max(room, 0) + 1), 0)].rstrip()
    return [line, [Cell(f"{'':>{left}}  {text}  {chart.x_name}"[:width], "faint")]]


class _Axis:
    """Maps values to dots, counted from 0."""

    def __init__(self, low: float, high: float, dots: int, is_log: bool) -> None:
        self.low, self.high, self.is_log = low, high, is_log
        self._dots = dots

    @classmethod
    def of(cls, values: Sequence[float], dots: int, is_log: bool) -> "_Axis":
        low, high = min(values), max(values)
        if low == high:  # a constant is drawn in the middle
            low, high = (low / 2, high * 2) if is_log else (low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5))
        return cls(low, high, dots, is_log)

    def dot(self, value: float) -> int:
        """The dot of a value, clipped to the axis."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        fraction = (self._scaled(value) - low) / (high - low) if math.isfinite(high - low) else 0.0
        return round(min(max(fraction, 0.0), 1.0) * (self._dots - 1))

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.is_log else value

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """At most `most` round numbers on the axis, with their labels."""
        values = list(_decades(self.low, self.high)) if self.is_log else []
        if len(values) > most:
            step = -(-len(values) // most)
            powers = [value for value in values if f"{value:e}".startswith("1.0")]
            values = values[::step] if len(powers) < 2 else powers[:: -(-len(powers) // most)]
        if len(values) < 2:
            values = _round_steps(self.low, self.high, most)
        return [(value, f"{value:.6g}") for value in values]


def _decades(low: float, high: float) -> Iterator[float]:
    """1, 2 and 5 times the powers of 10 from `low` to `high`."""
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        for factor in (1, 2, 5):
            value = float(f"{factor}e{power}")
            if low <= value <= high:
                yield value


def _round_steps(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of 10 from `low` to `high`, at most `most`."""
    if not math.isfinite(high - low):
        return [low, high]
    rough = (high - low) / most
    power = math.floor(math.log10(rough)) if rough > 0 else 0
    for factor in (1, 2, 5, 10, 20):
        step = float(f"{factor}e{power}")
        if step <= 0:
            continue
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first < most:
            return [float(f"{multiple * step:.12g}") for multiple in range(first, last + 1)]
    return [low, high]


class _Canvas:
    """Braille characters and their colours."""

    def __init__(self, columns: int, rows: int) -> None:
        self._columns, self._rows = columns, rows
        self._dots = [[0] * columns for _ in range(rows)]
        self._tones: list[list[Tone]] = [[""] * columns for _ in range(rows)]

    def draw(self, points: Sequence[tuple[int, int]], tone: Tone) -> None:
        """Draw lines between points, given in dots from the lower left."""
        for (x, y), (to_x, to_y) in zip(points, [*points[1:], points[-1]], strict=True):
            steps = max(abs(to_x - x), abs(to_y - y), 1)
            for step in range(steps + 1):
                self._set(x + round((to_x - x) * step / steps), y + round((to_y - y) * step / steps), tone)

    def _set(self, x: int, y: int, tone: Tone) -> None:
        column, row = x // 2, self._rows - 1 - y // 4
        self._dots[row][column] |= DOTS[x % 2][3 - y % 4]
        self._tones[row][column] = tone

    def cells(self, row: int) -> Iterator[Cell]:
        """The characters of a row, grouped by colour."""
        text, last = "", self._tones[row][0]
        for dots, tone in zip(self._dots[row], self._tones[row], strict=True):
            if tone != last:
                yield Cell(text, last)
                text, last = "", tone
            text += chr(BLANK + dots) if dots else " "
        yield Cell(text, last)
