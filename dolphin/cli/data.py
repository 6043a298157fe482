"""``dolphin data``: import, build, generate, list, show, quality, verify."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli.common import From, Json, To, emit, progress_bar, say, table, window
from dolphin.errors import DolphinError

if TYPE_CHECKING:
    from dolphin.catalog.quality.report import QualityReport

app = typer.Typer(help="Datasets: bring data in, look at it, compare and check versions.", no_args_is_help=True)


class Preset(StrEnum):
    """Generated markets."""

    edge = "edge"
    null = "null"
    crash = "crash"


class OnBad(StrEnum):
    """What to do with rows that break a quality rule."""

    error = "error"
    reject = "reject"


class OnJump(StrEnum):
    """What to do with a lone wrong price."""

    flag = "flag"
    reject = "reject"


class Stamped(StrEnum):
    """What of a bar its time is."""

    open = "open"
    close = "close"


Spacing = Annotated[str | None, typer.Option("--spacing", help="Bar spacing such as 5s, 1m, 5m, 1h.")]
Name = Annotated[str, typer.Option("--name", help="Name of the dataset.")]


Html = Annotated[Path | None, typer.Option("--html", help="Write the quality report there, one HTML file.")]


@app.command("import")
def import_(
    source: Annotated[list[Path], typer.Argument(help="Files or folders of one kind: bars, ticks, features, series.")],
    name: Name,
    spacing: Spacing = None,
    instruments: Annotated[Path | None, typer.Option("--instruments", help="instruments.json.")] = None,
    symbols: Annotated[str | None, typer.Option("--symbols", help="Only these, comma separated.")] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="Symbol whose volatility gates; BTCUSDT if there, else the first.")
    ] = None,
    start: From = None,
    stop: To = None,
    columns: Annotated[
        str | None, typer.Option("--columns", help="Columns of a table by role: time=Datum,close=Schluss.")
    ] = None,
    stamped: Annotated[Stamped, typer.Option("--stamped", help="What of a bar its time is.")] = Stamped.open,
    calendar: Annotated[str | None, typer.Option("--calendar", help="Sessions: ALWAYS_OPEN, XNYS, CME.")] = None,
    on_bad: Annotated[OnBad, typer.Option("--on-bad", help="Bad rows: stop, or set aside and count.")] = OnBad.error,
    on_jump: Annotated[OnJump, typer.Option("--on-jump", help="Lone wrong prices: count, or set aside.")] = OnJump.flag,
    second: Annotated[str | None, typer.Option("--second", help="Dataset that confirms price jumps.")] = None,
    lags: Annotated[
        list[str] | None, typer.Option("--lag", help="SERIES=2d: values are public so long after; repeatable.")
    ] = None,
    notes: Annotated[
        list[str] | None, typer.Option("--note", help="A caveat shown in every report; repeatable.")
    ] = None,
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help="Load pickles: they can run any code.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be read; write nothing.")] = False,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Bring market data into the catalog, with a quality report."""
    from dolphin import workspace
    from dolphin.catalog import parse_spacing
    from dolphin.catalog.ingest.importer import import_data

    roles = _pairs("columns", columns.split(",") if columns else (), "ROLE=COLUMN", "time=DATUM,close=SCHLUSS")
    if dry_run:
        _show_preview(source, roles, allow_pickle, as_json)
        return
    start_ns, stop_ns = window(start, stop)
    with progress_bar() as progress:
        made = import_data(
            workspace.find(),
            source,
            name,
            spacing_ns=parse_spacing(spacing) if spacing else None,
            instruments=instruments,
            symbols=symbols.split(",") if symbols else None,
            reference=reference,
            start_ns=start_ns,
            stop_ns=stop_ns,
            calendar=calendar,
            columns=roles or None,
            stamped=stamped.value,
            on_bad=on_bad.value,
            on_jump=on_jump.value,
            second=second,
            notes=tuple(notes or ()),
            allow_pickle=allow_pickle,
            lags=_pairs("lag", lags or (), "SERIES=DURATION", "CPI=14d"),
            progress=progress,
        )
    _show_made(made, html, as_json)


def _pairs(option: str, items: Sequence[str], form: str, example: str) -> dict[str, str]:
    """Options of the form ``NAME=VALUE`` by name."""
    for item in items:
        if not all(part.strip() for part in item.partition("=")):
            raise DolphinError(f"--{option} {item}: not of the form {form}", mend=f"e.g. --{option} {example}")
    return {name.strip(): value.strip() for name, _, value in (item.partition("=") for item in items)}


def _show_preview(source: list[Path], columns: dict[str, str], allow_pickle: bool, as_json: bool) -> None:
    """What an import would read of every file."""
    from dolphin.catalog import format_time
    from dolphin.catalog.ingest.preview import preview

    found = preview(source, columns=columns or None, allow_pickle=allow_pickle)

    def tell() -> None:
        for one in found[:SHOWN]:
            symbols = f"{len(one.symbols)}: {', '.join(one.symbols[:5])}{', ...' if one.symbols[5:] else ''}"
            told = {"kind": one.kind, "rows": one.rows, "symbols": symbols if one.symbols else "-",
                    "spacing": one.spacing or "-", "first": one.first, "last": one.last, **one.facts}  # fmt: skip
            table(one.file, ("", ""), list(told.items()))
            head = one.head.to_dicts()
            if head:
                clock = {"ts", "reference_ts", "available_ts", "received_ts"}
                rows = [[format_time(v) if k in clock and v else str(v) for k, v in row.items()] for row in head]
                table(None, tuple(head[0])[:9], [row[:9] for row in rows])
            for line in one.notes:
                say(f"note: {line}")
        if found[SHOWN:]:
            say(f"and {len(found) - SHOWN} more files, {sum(one.rows for one in found):,} rows in all")
        say("nothing was written; leave --dry-run out to import")

    emit({"dry_run": True, "files": [one.document() for one in found]}, as_json, tell)


@app.command()
def build(
    name: Annotated[str, typer.Argument(help="Dataset whose definition is data_catalog/NAME.toml.")],
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Make a dataset from its definition. Exit code 1: it breaks a limit of the definition."""
    from dolphin import workspace
    from dolphin.catalog.ingest.build import build as build_dataset
    from dolphin.catalog.quality.report import QualityRefused

    try:
        with progress_bar() as progress:
            made = build_dataset(workspace.find(), name, progress=progress)
    except QualityRefused as refused:
        if html:
            _write_page(refused.report, html)
        breaches = list(refused.details)
        document = {"name": name, "refused": True, "breaches": breaches, "quality": dict(refused.report.numbers)}
        emit(document, as_json, lambda: say("\n".join(f"limit broken: {line}" for line in breaches)))
        raise
    _show_made(made, html, as_json)


@app.command()
def generate(
    name: Name,
    preset: Annotated[Preset, typer.Option("--preset", help="edge: planted edge; null: none; crash.")],
    days: Annotated[int, typer.Option("--days", min=1, max=3660)] = 10,
    assets: Annotated[int, typer.Option("--assets", min=2, max=400)] = 50,
    spacing: Annotated[str, typer.Option("--spacing")] = "5s",
    seed: Annotated[int, typer.Option("--seed", min=0)] = 1,
    as_json: Json = False,
) -> None:
    """A generated market, labelled synthetic in everything made from it."""
    from dolphin import workspace
    from dolphin.catalog import generate as generate_market
    from dolphin.catalog import parse_spacing

    with progress_bar() as progress:
        report = generate_market(
            workspace.find(),
            name,
            preset=preset.value,
            days=days,
            assets=assets,
            spacing_ns=parse_spacing(spacing),
            seed=seed,
            progress=progress,
        )
    _show_made(report, None, as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All datasets."""
    from dolphin import workspace
    from dolphin.catalog import list_datasets

    home, rows = workspace.find(), []
    for name in list_datasets(home):
        try:
            rows.append(_summary(_open(home, name)) | {"state": "ok"})
        except DolphinError as error:  # its data is damaged or not on this machine; the others still count
            rows.append({"name": name, "state": str(error)})

    def show() -> None:
        if rows:
            usable = [row for row in rows if row["state"] == "ok"]
            if usable:
                table(None, LISTED, [tuple(row[key] for key in LISTED) for row in usable])
            for row in rows:
                if row["state"] != "ok":
                    say(f"cannot be used: {row['name']}: {row['state']}")
        else:
            say("no datasets yet; try 'dolphin data generate --name demo --preset edge'")

    emit({"datasets": rows}, as_json, show)


@app.command()
def show(name: Annotated[str, typer.Argument(help="Dataset.")], as_json: Json = False) -> None:
    """Manifest, quality and versions of a dataset."""
    from dolphin import workspace
    from dolphin.catalog.store.versions import list_versions, split_name

    home = workspace.find()
    data = _open(home, name)

    def tell() -> None:
        table(None, ("", ""), list(_summary(data).items()))
        _show_quality(data.manifest.get("quality", {}))
        for line in data.manifest.get("notes", ()):
            say(f"note: {line}")
        others = [version.label for version in list_versions(home.catalog, split_name(name)[0]) if not version.current]
        if others:
            say(f"older versions here: {', '.join(others)}")

    emit(dict(data.manifest), as_json, tell)


@app.command()
def quality(
    name: Annotated[str, typer.Argument(help="Dataset of bars.")],
    out: Annotated[Path | None, typer.Option("--out", help="HTML file to write: gap map, rules, jumps.")] = None,
    as_json: Json = False,
) -> None:
    """What every rule found, and which bars are missing; as a page with --out."""
    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.catalog.quality.report import read_quality

    report = read_quality(open_dataset(workspace.find(), name))
    if out:
        _write_page(report, out)

    def tell() -> None:
        _show_quality(dict(report.numbers))
        if out:
            say(f"written: {out}")

    emit({"dataset": name, **report.numbers, "out": str(out) if out else None}, as_json, tell)


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="Dataset; without it all of them.")] = None,
    as_json: Json = False,
) -> None:
    """Re-hash every file of a dataset, its old versions, scans and caches."""
    from dolphin import workspace
    from dolphin.catalog.store.checking import check, check_all

    home = workspace.find()
    with progress_bar() as progress:
        found = check_all(home, progress) if name is None else {name: check(home, name)}
    problems = [line for lines in found.values() for line in lines]

    def tell() -> None:
        for dataset, lines in found.items():
            for line in lines or [f"{dataset}: every file is what the manifest says"]:
                say(line)
        if not found:
            say("no datasets yet")

    document = {"ok": not problems, "problems": problems}
    emit(document | ({"datasets": found} if name is None else {"dataset": name}), as_json, tell)
    if problems:
        raise typer.Exit(1)


SHOWN = 4  # files of a dry run
LISTED = ("name", "data", "kind", "spacing", "symbols", "rows", "first", "last", "digest", "source")


def _open(home: Any, name: str) -> Any:
    """A dataset of bars, or a table."""
    from dolphin.catalog import open_dataset
    from dolphin.catalog.store.layout import current_manifest, kind_of
    from dolphin.catalog.store.tables import open_table
    from dolphin.catalog.store.versions import split_name

    bars = kind_of(current_manifest(home.catalog, split_name(name)[0])) == "bars"
    return open_dataset(home, name) if bars else open_table(home, name)


def _summary(data: Any) -> dict[str, Any]:
    """What a dataset or table is, in a few words."""
    from dolphin.catalog import format_time
    from dolphin.catalog.store.layout import kind_of

    manifest = data.manifest
    bars = kind_of(manifest) == "bars"
    about = {
        "name": data.name,
        "data": kind_of(manifest),
        "kind": "synthetic" if manifest.get("synthetic") else "real",
        "spacing": manifest.get("spacing", "-"),
        "symbols": len(data.symbols),
        "rows": manifest["rows"],
        "first": format_time(manifest["first_ts"]),
        "last": format_time(manifest["last_ts"]),
        "digest": data.digest[:16],
        "source": manifest.get("source", "-"),
    }
    if bars:
        about |= {"bars": data.n_bars, "first close": about["first"], "last close": about["last"]}
        about |= {"reference": data.reference, "calendar": manifest.get("calendar", "ALWAYS_OPEN")}
        about |= {"quotes": "bid, ask"} if manifest.get("quotes") else {}
    return about


def _show_made(made: Any, html: Path | None, as_json: bool) -> None:
    """What an import, a build or a generation did."""
    from dolphin.catalog import ImportReport

    report = made if isinstance(made, ImportReport) else None
    data = report.dataset if report else made
    quality = report.quality if report else data.manifest.get("quality", {})
    summary = _summary(data) | {"unchanged": made.unchanged}
    changes, skipped = (report.changes, report.skipped) if report else ((), ())
    advice = report.advice if report else ()
    if html and report:
        from dolphin.catalog.quality.report import read_quality

        _write_page(read_quality(data), html)
    elif html:
        raise DolphinError("the quality page is of bars", where=data.name, mend="leave --html out")

    def tell() -> None:
        table(None, ("", ""), list(summary.items()))
        _show_quality(quality)
        for line in (*changes, *advice):
            say(line)
        for line in data.manifest.get("notes", ()) if report else ():
            say(f"note: {line}")
        for path in skipped:
            say(f"left out, no reader takes it: {path}")
        if html:
            say(f"written: {html}")

    document = {"digest": data.digest, "quality": quality, "changes": list(changes), "skipped": list(skipped)}
    document["advice"] = list(advice)
    emit(summary | document, as_json, tell)


def _write_page(report: QualityReport, out: Path) -> None:
    from dolphin.catalog.quality.report import quality_document
    from dolphin.report import write_quality_page

    write_quality_page(quality_document(report), out)


def _show_quality(quality: dict[str, Any]) -> None:
    """Rows, rejects by rule, and the symbols with the most missing bars."""
    if "rows" not in quality:
        return
    counts = quality.get("counts", {})
    missing = f", missing {100 * quality['missing_share']:.3f} % of the grid" if "missing_share" in quality else ""
    say(f"rows {quality['rows']:,}, rejected {quality.get('rejected', 0):,}, "
        f"flagged {quality.get('flagged', 0):,}{missing}")  # fmt: skip
    if any(counts.values()):
        table("by rule", ("rule", "rows"), [(k, v) for k, v in counts.items() if v])
    gaps = quality.get("gaps", {})
    worst = sorted(gaps.items(), key=lambda item: -item[1]["missing"])[:10]
    rows = [(s, g["missing"], g["gaps"], g["longest"], f"{100 * g['share']:.2f} %") for s, g in worst if g["missing"]]
    if rows:
        table("most missing bars", ("symbol", "missing bars", "gaps", "longest", "share"), rows)
