"""The columns by which rows are held out: those that `data.validation` names."""

from dataclasses import dataclass

from mlpcli.config.loading import LoadedConfig
from mlpcli.config.schema.data import HeldOut


@dataclass(frozen=True)
class HoldingColumns:
    """The columns that `data.validation` names, "" for none."""

    fold: str = ""
    group: str = ""
    time: str = ""
    id: str = ""

    @property
    def keys(self) -> frozenset[str]:
        """Those whose cells are read as texts, and which are no inputs."""
        return frozenset({self.fold, self.group, self.id} - {""})


def holding_columns(loaded: LoadedConfig) -> HoldingColumns:
    """The columns by which rows are held out."""
    held_out = loaded.config.data.validation
    if not isinstance(held_out, HeldOut):
        return HoldingColumns()
    return HoldingColumns(held_out.column or "", held_out.group or "", held_out.time or "", held_out.hash or "")


def other_columns(loaded: LoadedConfig) -> frozenset[str]:
    """Columns that are used but are no inputs."""
    data, by, held_out = loaded.config.data, loaded.config.intervals.by or "", holding_columns(loaded)
    return frozenset({*data.target, data.weight or "", by, held_out.time, *held_out.keys} - {""})
