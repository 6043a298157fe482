"""Run configurations: read, checked, resolved, hashed."""

from dolphin.config.config import (
    Account,
    Config,
    ConfigDocument,
    Friction,
    MarketTables,
    RiskInputs,
    columns_needed,
    friction_records,
    params_records,
    parse_config,
    parse_value,
    read_config,
    read_table,
    to_toml,
)
from dolphin.config.quantiles import settled
from dolphin.config.variants import Variant, Variants

__all__ = [
    "Account",
    "Config",
    "ConfigDocument",
    "Friction",
    "MarketTables",
    "RiskInputs",
    "Variant",
    "Variants",
    "columns_needed",
    "friction_records",
    "params_records",
    "parse_config",
    "parse_value",
    "read_config",
    "read_table",
    "settled",
    "to_toml",
]
