"""The config key `data.validation`: how rows are held out, and by which columns."""

from dataclasses import dataclass

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema.data import HeldOut

STRATEGIES = "{column, equals}, {group}, {time}, {group, time}, {hash}, {copies}"


@dataclass(frozen=True)
class SplitColumns:
    """The columns named by `data.validation`, "" for none."""

    fold: str = ""
    group: str = ""
    time: str = ""
    id: str = ""

    @property
    def keys(self) -> frozenset[str]:
        """Columns that are read as text and are not inputs."""
        return frozenset({self.fold, self.group, self.id} - {""})


def split_columns(loaded: LoadedConfig) -> SplitColumns:
    """The columns by which rows are held out."""
    held_out = loaded.config.data.validation
    if not isinstance(held_out, HeldOut):
        return SplitColumns()
    return SplitColumns(held_out.column or "", held_out.group or "", held_out.time or "", held_out.hash or "")


def non_input_columns(loaded: LoadedConfig) -> frozenset[str]:
    """Columns that are used, but not as inputs."""
    data, by, held_out = loaded.config.data, loaded.config.intervals.by or "", split_columns(loaded)
    return frozenset({*data.target, data.weight or "", by, held_out.time, *held_out.keys} - {""})


def split_strategy(loaded: LoadedConfig) -> HeldOut | None:
    """How rows are held out, None for at random or by file; raises ConfigError for an invalid combination of keys."""
    strategy = loaded.config.data.validation
    if not isinstance(strategy, HeldOut):
        return None
    keys = [key for key in ("column", "group", "time", "hash", "copies") if getattr(strategy, key) is not None]
    if len(keys) != 1 and keys != ["group", "time"]:
        fault = "does not say how to hold out rows" if not keys else f"{' and '.join(keys)} cannot be combined"
        raise loaded.error("data.validation", f"{fault}. Write one of {STRATEGIES}.")
    if (strategy.column is None) != (strategy.equals is None):
        missing = "column" if strategy.column is None else "equals"
        raise loaded.error("data.validation", f"{missing} is missing: {{column: fold, equals: val}}.")
    if strategy.column is not None and strategy.fraction is not None:
        raise loaded.error(
            "data.validation.fraction", "cannot be combined with column, which says which rows they are. Leave it out."
        )
    if strategy.gap is not None and strategy.time is None:
        raise loaded.error("data.validation.gap", "applies to time only. Leave it out.")
    if strategy.group is not None and strategy.group == strategy.time:
        raise loaded.error("data.validation", f"group and time are both {strategy.group}. Leave one out.")
    return strategy
