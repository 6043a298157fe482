"""Market data: readers, quality rules, immutable Parquet versions, hot cache, generated markets."""

from dolphin.catalog.cache import cached
from dolphin.catalog.dataset import Dataset, Prices, list_datasets, open_dataset, verify
from dolphin.catalog.generator import generate
from dolphin.catalog.importer import ImportReport, import_klines
from dolphin.catalog.instruments import Instrument
from dolphin.catalog.scans import ScanDays, missing_days, read_features, scan_folder, write_day
from dolphin.catalog.times import format_spacing, format_time, parse_spacing, parse_time

__all__ = [
    "Dataset",
    "ImportReport",
    "Instrument",
    "Prices",
    "ScanDays",
    "cached",
    "format_spacing",
    "format_time",
    "generate",
    "import_klines",
    "list_datasets",
    "missing_days",
    "open_dataset",
    "parse_spacing",
    "parse_time",
    "read_features",
    "scan_folder",
    "verify",
    "write_day",
]
