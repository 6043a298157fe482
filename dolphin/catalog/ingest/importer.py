"""Market data into the catalog, whatever kind its files are of; what is wrong with it is counted on the way."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog import readers
from dolphin.catalog.ingest.definition import Definition, Limits
from dolphin.catalog.ingest.import_job import ImportJob, readings_of
from dolphin.catalog.quality.jumps import Jumps
from dolphin.catalog.quality.report import QualityReport, refuse
from dolphin.catalog.quality.rules import Quality
from dolphin.catalog.store.dataset import Dataset, from_manifest, open_dataset
from dolphin.catalog.store.draft import drafting
from dolphin.catalog.store.layout import manifest_path
from dolphin.catalog.store.sessions import ALWAYS_OPEN
from dolphin.catalog.store.sessions import calendar as sessions_of
from dolphin.errors import DolphinError
from dolphin.progress import Progress
from dolphin.workspace import Workspace

if TYPE_CHECKING:
    from dolphin.catalog.store.tables import Table

_FOR_BARS: dict[str, Any] = {"on_bad": "error", "on_jump": "flag", "stamped": "open"}


@dataclass(frozen=True)
class ImportReport:
    """What an import or a generation did.

    Attributes
    ----------
    dataset : Dataset
        The version that the name means now.
    quality : dict
        ``rows`` kept, ``rejected``, ``flagged`` and ``counts`` per rule, ``rounded`` prices,
        ``missing_share`` of the grid, ``gaps`` per symbol (missing, gaps, longest in bars, share).
    unchanged : bool
        True if this very version was there already and no data was written.
    skipped : tuple of str
        Files of the source folder that no reader takes.
    changes : tuple of str
        What is different from the version that the name meant before: sources, notes, definition.
    advice : tuple of str
        What a user should know of what became of the rows, such as why some lie in no session.
    """

    dataset: Dataset
    quality: dict[str, Any]
    unchanged: bool
    skipped: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def import_data(
    workspace: Workspace,
    source: Path | Sequence[Path],
    name: str,
    *,
    allow_pickle: bool = False,
    lags: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> ImportReport | Table:
    """Import files of any kind as dataset ``name``; their content tells the kind.

    Parameters
    ----------
    source : Path or sequence of Path
        Files or folders, all of one kind: bars, ticks, features or series.
    allow_pickle : bool
        Load pickles, which can run any code, instead of refusing them.
    lags : mapping of str to str, optional
        Of series: how long after its reference time a value is public, e.g. ``{"CPI": "14d"}``.
    **options
        Those of :func:`import_klines`; only ``notes`` is for data other than bars too.

    Returns
    -------
    ImportReport or Table
        A table for data that is no bars.

    Raises
    ------
    DolphinError
        On any input it cannot take whole; the dataset of that name stays what it was.
    """
    found = find_sources(source)
    first = found.files[0][0]
    kind = readers.read(first, allow_pickle=allow_pickle, columns=options.get("columns")).kind
    if lags and kind != "series":
        raise DolphinError("lags: only for series", where=found.text, mend=f"leave that out: it is {kind}")
    if kind == "bars":
        return import_klines(workspace, source, name, allow_pickle=allow_pickle, progress=progress, **options)
    definition = options.pop("definition", None)
    # A definition names its reference by default.
    plain = _FOR_BARS | {"reference": "BTCUSDT" if definition else None}
    given = [key for key, value in options.items() if key != "notes" and value and value != plain.get(key)]
    if definition and (definition.symbols or definition.limits != Limits()):
        given.append("symbols and limits of the definition")
    if given:
        raise DolphinError(f"{', '.join(given)}: only for bars", where=found.text, mend=f"leave that out: it is {kind}")
    about = _made(name, found, definition) | {"notes": list(options.get("notes", ()))}
    if lags:
        about["lags"] = dict(lags)
    readings = readings_of([path for path, _ in found.files], kind, allow_pickle, progress)
    return _importer_of(kind)(workspace, name, readings, about)


def import_klines(
    workspace: Workspace,
    source: Path | Sequence[Path] | Sources,
    name: str,
    *,
    spacing_ns: int | None = None,
    instruments: Path | None = None,
    symbols: Sequence[str] | None = None,
    reference: str | None = None,
    start_ns: int | None = None,
    stop_ns: int | None = None,
    calendar: str | None = None,
    columns: Mapping[str, str] | None = None,
    stamped: str = "open",
    on_bad: str = "error",
    on_jump: str = "flag",
    second: str | None = None,
    notes: Sequence[str] = (),
    definition: Definition | None = None,
    allow_pickle: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a kline file or folder as dataset ``name``.

    Parameters
    ----------
    source : Path or sequence of Path
        Files or folders of bars with candle *open* times (or see ``stamped``).
    spacing_ns : int, optional
        Bar spacing; told from the data when not given.
    instruments : Path, optional
        An ``instruments.json``; by default the one beside the data, else ticks are inferred from it.
    symbols : sequence of str, optional
        Take only these.
    reference : str, optional
        The symbol whose volatility is measured; BTCUSDT where the data has it, else the first.
    start_ns, stop_ns : int, optional
        Take bars that close at or after ``start_ns`` and before ``stop_ns``.
    calendar : str, optional
        An exchange calendar (``XNYS``, ``CME``): a file per session date, gaps counted on its closes.
    columns : mapping of str to str, optional
        Of tables that people made: role to column, where the names do not tell it.
    stamped : {"open", "close"}
        What of a bar its time is.
    on_bad : {"error", "reject"}
        What a row with a NaN, a price <= 0, or an unsorted or duplicate time does: stop the import, or
        be set aside in ``rejected/`` (unsorted rows are sorted and counted).
    on_jump : {"flag", "reject"}
        Whether a lone wrong price (a jump that nothing confirms and that does not last) is kept and
        counted, or set aside too.
    second : str, optional
        A dataset whose close within 1 % confirms a jump.
    notes : sequence of str
        Caveats that every report made from the data shows.
    definition : Definition, optional
        What the options come from: it is kept in the manifest, its limits are held, and rows of symbols
        that it does not list are set aside.

    Raises
    ------
    DolphinError
        On any input it cannot take whole; the dataset of that name stays what it was.
    QualityRefused
        Where the data breaks a limit of the definition; nothing is published then.
    """
    _check_choice("on-bad", on_bad, ("error", "reject"))
    _check_choice("on-jump", on_jump, ("flag", "reject"))
    _check_choice("stamped", stamped, ("open", "close"))
    found = source if isinstance(source, Sources) else find_sources(source)
    if instruments is None:
        instruments = next((p for p in (folder / "instruments.json" for folder in found.folders) if p.is_file()), None)
    listed = definition.symbols if definition else None
    grid = sessions_of(calendar or ALWAYS_OPEN)
    other = open_dataset(workspace, second) if second else None
    with drafting(workspace.catalog, name) as draft:
        quality = Quality(on_bad == "reject", draft.stage, grid.days_of, listed)
        job = ImportJob(draft, found.files, quality, grid, spacing_ns, symbols, instruments is None,
                        columns, stamped)  # fmt: skip
        job.spill(start_ns, stop_ns, allow_pickle, progress)
        job.identify(instruments, reference, found.text, listed)
        job.jumps = Jumps(job.symbols, _closes_of(other) if other else None)
        job.write(on_jump == "reject", progress)
        summary = job.summary()
        about = _made(name, found, definition, symbols) | {
            "ingest_id": str(uuid.uuid4()),
            "instruments_from": str(instruments) if instruments else "inferred from the data",
            "sources": job.lineage,
            "notes": list(dict.fromkeys((*notes, *job.notes))),
            "quality": summary,
        }
        if grid.name != ALWAYS_OPEN:
            about["calendar"] = grid.name
        advice = job.advice()
        if other:
            about["second"] = {"name": other.name, "digest": other.digest}
        report = QualityReport(name, about, summary, job.report(), job.jumps.table(), job.spacing, *job.span)
        _keep_report(job, report, definition)
        manifest, unchanged = draft.publish(about)
        changes = _changes(draft.current, manifest)
    dataset = from_manifest(workspace.catalog, manifest, manifest_path(workspace.catalog, name))
    return ImportReport(dataset, summary, unchanged, tuple(str(p) for p in found.skipped), changes, advice)


@dataclass(frozen=True)
class Sources:
    """The files of an import: with the name each has in the lineage, and how a command names them."""

    files: list[tuple[Path, str]]
    skipped: list[Path]
    folders: list[Path]
    text: str
    command: str


def find_sources(source: Path | Sequence[Path]) -> Sources:
    """All files of files and folders."""
    sources = [Path(source)] if isinstance(source, str | Path) else [Path(p) for p in source]
    files: list[tuple[Path, str]] = []
    skipped: list[Path] = []
    for one in sources:
        here, odd = readers.find_files(one)
        files += [(path, path.relative_to(one).as_posix() if one.is_dir() else path.name) for path in here]
        skipped += odd
    folders = [one if one.is_dir() else one.parent for one in sources]
    return Sources(
        files, skipped, folders, ", ".join(map(str, sources)), " ".join(shlex.quote(str(p)) for p in sources)
    )


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise DolphinError(f"{option} '{value}'", mend=f"choose {' or '.join(choices)}")


def _made(
    name: str, found: Sources, definition: Definition | None, symbols: Sequence[str] | None = None
) -> dict[str, Any]:
    """What a manifest says of where the data came from: the source, the command, the definition."""
    wanted = f" --symbols {','.join(symbols)}" if symbols else ""
    command = f"dolphin data import {found.command} --name {name}{wanted}"
    if not found.folders:
        command = found.command
    made: dict[str, Any] = {
        "source": found.text, "made": f"dolphin data build {name}" if definition else command,
    }  # fmt: skip
    if definition:
        made["definition"] = {"hash": definition.hash, **definition.document()}
    return made


def _keep_report(job: ImportJob, report: QualityReport, definition: Definition | None) -> None:
    """Keep the report of an import with the data, or refuse the data where it breaks a limit of its definition."""
    limits = definition.limits if definition else Limits()
    breaches = limits.breaches(report.numbers, job.spacing)
    if breaches:
        raise refuse(replace(report, breaches=breaches))
    job.keep(report)


def _importer_of(kind: str) -> Callable[..., Table]:
    if kind == "ticks":
        from dolphin.catalog.ingest.ticks import import_ticks

        return import_ticks
    if kind == "series":
        from dolphin.catalog.ingest.external import import_series

        return import_series
    from dolphin.catalog.ingest.foreign import import_features

    return import_features


def _closes_of(dataset: Dataset) -> Callable[[list[str], NDArray[np.int64]], NDArray[np.float64]]:
    """The closes of a second source at single bars."""
    days = dataset.manifest["days"]

    def closes(symbols: list[str], ts: NDArray[np.int64]) -> NDArray[np.float64]:
        asked = pl.DataFrame({"symbol": symbols, "ts": ts})
        dates = [d for d, e in days.items() if ((ts >= e["first_ts"]) & (ts <= e["last_ts"])).any()]
        frames = [dataset.day(date, ("symbol", "ts", "close")) for date in dates]
        if not frames:
            return np.full(ts.size, np.nan)
        found = asked.join(pl.concat(frames), on=["symbol", "ts"], how="left", maintain_order="left")
        return found["close"].fill_null(float("nan")).to_numpy()

    return closes


def _changes(old: Any, new: Any) -> tuple[str, ...]:
    """What differs between the manifest that held before and the one that holds now."""
    if not old:
        return ()
    before, after = ({e["file"]: e["sha256"] for e in m.get("sources", ())} for m in (old, new))
    lines = [f"source changed: {file}" for file in before if file in after and after[file] != before[file]]
    lines += [f"source new: {file}" for file in after if file not in before]
    lines += [f"source gone: {file}" for file in before if file not in after]
    for key in ("notes", "definition", "instruments", "calendar", "quotes"):
        if old.get(key) != new.get(key):
            lines.append(f"{key} changed")
    return tuple(lines)
