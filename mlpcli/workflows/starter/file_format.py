"""How a file is read, as `mlp init --set` says."""

from collections.abc import Sequence

from mlpcli.config.loading import config_from_mapping, parse_override
from mlpcli.data.table import TableFormat
from mlpcli.errors import ConfigError
from mlpcli.workflows.init import SETTABLE
from mlpcli.workflows.preparing.rows.tables import table_format


def format_from(settings: Sequence[str]) -> TableFormat:
    """The format of a file by assignments such as `data.sheet=May`; raises ConfigError."""
    allowed = [f"data.{key}" for key in SETTABLE]
    overrides = [parse_override(setting) for setting in settings]
    for override in overrides:
        if override.key not in allowed:
            keys = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
            raise ConfigError(
                f"{override.text}: mlp init sets how the file is read: {keys}, beside --delimiter and --encoding. "
                "Set other keys in its config."
            )
    return table_format(config_from_mapping({"data": {"train": "-", "target": "-"}}, overrides))
