"""Market data: readers, quality rules, immutable Parquet versions, hot cache, generated markets."""

from dolphin.catalog.derived.scans import ScanDays, missing_days, read_features, scan_folder, write_day
from dolphin.catalog.ingest.generator import generate
from dolphin.catalog.ingest.importer import ImportReport, import_klines
from dolphin.catalog.store.cache import cached
from dolphin.catalog.store.dataset import Dataset, Prices, list_datasets, open_dataset, verify
from dolphin.catalog.store.instruments import Instrument
from dolphin.times import format_spacing, format_time, parse_spacing, parse_time

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
