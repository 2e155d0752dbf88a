"""The sections `data` and `preprocess`: files, columns, validation rows, and preprocessing."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Discriminator

from mlpcli.config.schema.shorthand import BY_ROLE, LISTED, named
from mlpcli.data.features.bins import Encoding, NoEncoding
from mlpcli.data.features.onehot import OneHot
from mlpcli.data.features.scaling import MedianFill, MissingPolicy, Scaler, Standardize
from mlpcli.data.schema.column import ColumnOptions
from mlpcli.data.table import DEFAULT_MISSING
from mlpcli.options import Setting, options

Names = Annotated[tuple[str, ...], LISTED]
Share = Annotated[float, Setting("A fraction of the rows.", ge=0, lt=1)]


@options
class HeldOut:
    """How validation rows, or folds, are split from the training file if not at random.

    One of: `column` with `equals`, `group`, `time`, `group` with `time`, `hash` or `copies`.
    """

    column: Annotated[str | None, Setting("The column whose value marks validation rows; it is not an input.")] = None
    equals: Annotated[str | int | bool | None, Setting("The value of the column in the validation rows.")] = None
    group: Annotated[
        str | None,
        Setting(
            "A column of groups (patient, customer): rows of one group are all training rows, all validation rows, or "
            "all in one fold; it is not an input."
        ),
    ] = None
    time: Annotated[
        str | None,
        Setting(
            "A column of dates or numbers: the latest rows are the validation rows, and folds are consecutive spans "
            "of it. With group the validation rows are those of the groups that begin last."
        ),
    ] = None
    gap: Annotated[
        float | None,
        Setting(
            "With time: training rows that are nearer than this to the validation rows, or to a fold, are left out; "
            "in days for dates, else in the unit of the column.",
            gt=0,
        ),
    ] = None
    hash: Annotated[
        str | None,
        Setting(
            "A column of ids: only a hash of the id decides the split of a row, so that no row changes its split when "
            "the table grows; it is not an input."
        ),
    ] = None
    copies: Annotated[
        Literal["together"] | None, Setting("Rows with equal cells in all input columns are in the same split or fold.")
    ] = None
    fraction: Annotated[
        float | None,
        Setting("Fraction of the rows, with group, time, hash or copies; null is 0.2; not with folds.", gt=0, lt=1),
    ] = None


@options
class DataConfig:
    """Where the rows come from."""

    train: Annotated[
        Names,
        Setting(
            "A file (CSV, TSV, JSON Lines, Parquet, Feather, Excel or ODS; text files plain or compressed); a glob; a "
            "list of these; - is standard input."
        ),
    ]
    target: Annotated[Names, Setting("The column to predict; a list gives several outputs.")]
    features: Annotated[Names | None, Setting("Input columns; null means every other column.")] = None
    drop: Annotated[Names, Setting("Columns that are not inputs.")] = ()
    columns: Annotated[
        dict[str, Annotated[ColumnOptions, BY_ROLE]],
        Setting(
            "How to read a column, in place of what is inferred: a role (number, date, boolean, category), or a "
            "mapping with role, prefix, suffix, decimal, thousands, parentheses, format (of dates), missing."
        ),
    ] = field(default_factory=dict)
    validation: Annotated[
        Share | str | HeldOut | None,
        Setting(
            "Validation rows, which choose the best epoch: a fraction (random, stratified by class or boolean "
            "column), a file, {column, equals}, {fraction, group}, {fraction, time, gap}, {fraction, group, time}, "
            "{fraction, hash}, {fraction, copies}, or null."
        ),
    ] = 0.2
    test: Annotated[Names | None, Setting("A file scored once, at the end.")] = None
    weight: Annotated[
        str | None,
        Setting("A column of sample weights: a row of weight k counts as k rows, a row of weight 0 is left out."),
    ] = None
    delimiter: Annotated[str | None, Setting("Field separator; null detects it.")] = None
    encoding: Annotated[str | None, Setting("Text encoding; null detects it.")] = None
    header: Annotated[bool | None, Setting("Whether the first line holds the column names; null detects it.")] = None
    missing: Annotated[tuple[str, ...], Setting("Cells that mean a missing value.")] = DEFAULT_MISSING
    decimal: Annotated[str, Setting("Decimal separator of all numbers: a point or a comma.")] = "."
    thousands: Annotated[str | None, Setting("Thousands separator of all numbers; null: none.")] = None
    dates: Annotated[
        str | None,
        Setting(
            "Date format: day_first, month_first, or a format such as DD/MM/YYYY; null infers it, and takes the month "
            "first where the cells are ambiguous."
        ),
    ] = None
    comment: Annotated[str | None, Setting("Lines that begin with this string are ignored.")] = None
    skip_rows: Annotated[int | None, Setting("Lines above the table to skip; null detects them.", ge=0)] = None
    sheet: Annotated[str | None, Setting("Sheet of a workbook; null is the first.")] = None
    cache: Annotated[
        str | None,
        Setting("Existing folder for temporary data of large tables; null is the parent of the run folder."),
    ] = None


@options
class PreprocessConfig:
    """Preprocessing, fitted on the training rows only."""

    numeric: Annotated[
        Annotated[Scaler, Discriminator("name")], named("standardize"), Setting("Scaling of numeric columns.")
    ] = Standardize()
    missing: Annotated[
        Annotated[MissingPolicy, Discriminator("name")], named("median"), Setting("Imputation of missing numbers.")
    ] = MedianFill()
    encoding: Annotated[
        Annotated[Encoding, Discriminator("name")],
        named("none"),
        Setting("Additional inputs of a numeric column, besides its scaled value."),
    ] = NoEncoding()
    categorical: Annotated[OneHot, named("onehot"), Setting("Encoding of categorical columns.")] = OneHot()
    target: Annotated[
        Literal["auto", "standardize", "none", "log", "quantile", "scale"],
        Setting(
            "Transform of regression targets: log takes log(1 + y), quantile takes normal scores, and both then "
            "standardize; scale divides by the mean absolute value; auto is scale for poisson, none for bounded "
            "outputs, else standardize."
        ),
    ] = "auto"
