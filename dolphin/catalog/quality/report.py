"""The quality of one dataset as a whole: the numbers, the days, the jumps; in its files and on its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from dolphin.catalog.quality.jumps import Jumps
from dolphin.catalog.quality.rules import QUOTE_RULES, REPORT, RULES
from dolphin.catalog.store.dataset import Dataset
from dolphin.catalog.store.intact import check_files
from dolphin.catalog.store.layout import mend_of, version_folder
from dolphin.errors import DolphinError, Refused

QUALITY = "quality.parquet"
FLAGGED_JUMPS = "flagged/price_jump.parquet"


@dataclass(frozen=True)
class QualityReport:
    """What an import found, also where it was refused.

    Attributes
    ----------
    about : mapping
        The manifest, or what would have become part of it.
    numbers : mapping
        ``rows``, ``rejected``, ``flagged``, ``counts``, ``missing_share``, ``gaps``, ...
    days : polars.DataFrame
        ``quality.parquet``: a row per date, symbol and rule, missing bars under the rule ``gap``.
    jumps : polars.DataFrame
        Every jump that nothing confirms, with what it was judged by.
    spacing_ns, first_ts, last_ts : int
        Length of a bar and span of the data, bar closes in ns.
    breaches : tuple of str
        A line per limit of the definition that the data breaks.
    """

    name: str
    about: Mapping[str, Any] = field(repr=False)
    numbers: Mapping[str, Any] = field(repr=False)
    days: pl.DataFrame = field(repr=False)
    jumps: pl.DataFrame = field(repr=False)
    spacing_ns: int
    first_ts: int
    last_ts: int
    breaches: tuple[str, ...] = ()


class QualityRefused(Refused):
    """A dataset that breaks a limit of its definition; ``report`` is what was found."""

    report: QualityReport


def refuse(report: QualityReport) -> QualityRefused:
    """The honest no to a dataset: the first breach in the line, all of them in ``details``."""
    more = f" (and {len(report.breaches) - 1} more)" if len(report.breaches) > 1 else ""
    error = QualityRefused(
        f"refused, nothing was published: {report.breaches[0]}{more}", where=report.name, details=report.breaches
    )
    error.report = report
    return error


def read_quality(dataset: Dataset) -> QualityReport:
    """The quality of a dataset of bars, from its version's files.

    Raises
    ------
    DolphinError
        If the version was made before quality was kept by day.
    """
    manifest = dataset.manifest
    numbers = manifest.get("quality", {})
    files = manifest.get("files", {})
    if QUALITY not in files and (not numbers or numbers.get("missing_share") or numbers.get("rejected")):
        raise DolphinError(
            "its version has no quality.parquet",
            where=dataset.name,
            mend=f"make it again: {manifest.get('made', 'dolphin data import')}",
        )
    folder = version_folder(dataset.root, dataset.name, dataset.digest)
    known = [(files[name]["file"], files[name]["sha256"]) for name in (QUALITY, FLAGGED_JUMPS) if name in files]
    check_files(folder, known, mend_of(dataset.manifest))
    tables = {
        name: pl.read_parquet(folder / files[name]["file"]) if name in files else schema
        for name, schema in ((QUALITY, pl.DataFrame(schema=REPORT)), (FLAGGED_JUMPS, Jumps([]).table()))
    }
    span = (dataset.spacing_ns, dataset.first_ts, dataset.last_ts)
    return QualityReport(dataset.name, manifest, numbers, tables[QUALITY], tables[FLAGGED_JUMPS], *span)


#: Of the manifest what the quality page tells.
_TOLD = ("source", "made", "digest", "calendar", "second", "instruments_from", "definition", "ingest_id")


def quality_document(report: QualityReport) -> dict[str, Any]:
    """What :func:`dolphin.report.quality_page` shows."""
    rules = (*RULES, *(rule for rule in QUOTE_RULES if rule.name in report.numbers["counts"]))
    return {
        "name": report.name,
        "spacing_ns": report.spacing_ns,
        "first_ts": report.first_ts,
        "last_ts": report.last_ts,
        "numbers": report.numbers,
        "rules": [{"name": r.name, "text": r.text, "outcome": r.outcome} for r in rules],
        "days": report.days,
        "jumps": report.jumps,
        "notes": report.about.get("notes", ()),
        "breaches": report.breaches,
        "synthetic": bool(report.about.get("synthetic")),
        "facts": {key: report.about[key] for key in _TOLD if report.about.get(key) is not None},
    }
