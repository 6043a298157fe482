"""``dolphin data``: import, generate, list, show, verify."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dolphin.cli.common import From, Json, To, emit, progress_bar, say, table, window
from dolphin.errors import DolphinError

app = typer.Typer(help="Datasets: import, generate, list, show, verify.", no_args_is_help=True)


class Preset(StrEnum):
    """Generated markets."""

    edge = "edge"
    null = "null"
    crash = "crash"


class OnBad(StrEnum):
    """What to do with rows that break a quality rule."""

    error = "error"
    reject = "reject"


Spacing = Annotated[str | None, typer.Option("--spacing", help="Bar spacing such as 5s, 1m, 5m, 1h.")]
Name = Annotated[str, typer.Option("--name", help="Name of the dataset.")]


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="File or folder: kline Parquet, CSV or zip.")],
    name: Name,
    spacing: Spacing = None,
    instruments: Annotated[Path | None, typer.Option("--instruments", help="instruments.json.")] = None,
    symbols: Annotated[str | None, typer.Option("--symbols", help="Only these, comma separated.")] = None,
    reference: Annotated[str, typer.Option("--reference", help="Symbol whose volatility gates.")] = "BTCUSDT",
    start: From = None,
    stop: To = None,
    on_bad: Annotated[OnBad, typer.Option("--on-bad", help="Bad rows: stop, or set aside and count.")] = OnBad.error,
    notes: Annotated[
        list[str] | None, typer.Option("--note", help="A caveat shown in every report; repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring market data into the catalog, with a quality report."""
    from dolphin import workspace
    from dolphin.catalog import import_klines, parse_spacing

    start_ns, stop_ns = window(start, stop)
    with progress_bar() as progress:
        report = import_klines(
            workspace.find(),
            source,
            name,
            spacing_ns=parse_spacing(spacing) if spacing else None,
            instruments=instruments,
            symbols=symbols.split(",") if symbols else None,
            reference=reference,
            start_ns=start_ns,
            stop_ns=stop_ns,
            on_bad=on_bad.value,
            notes=tuple(notes or ()),
            progress=progress,
        )
    _show_import(report, as_json)


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
    _show_import(report, as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """All datasets."""
    from dolphin import workspace
    from dolphin.catalog import list_datasets, open_dataset

    home, rows = workspace.find(), []
    for name in list_datasets(home):
        try:
            rows.append(_summary(open_dataset(home, name)) | {"state": "ok"})
        except DolphinError as error:  # its data is damaged or not on this machine; the others still count
            rows.append({"name": name, "state": str(error)})

    def show() -> None:
        if rows:
            usable = [row for row in rows if row["state"] == "ok"]
            if usable:
                table(None, tuple(usable[0]), [tuple(row.values()) for row in usable])
            for row in rows:
                if row["state"] != "ok":
                    say(f"cannot be used: {row['name']}: {row['state']}")
        else:
            say("no datasets yet; try 'dolphin data generate --name demo --preset edge'")

    emit({"datasets": rows}, as_json, show)


@app.command()
def show(name: Annotated[str, typer.Argument(help="Dataset.")], as_json: Json = False) -> None:
    """Manifest and quality of a dataset."""
    from dolphin import workspace
    from dolphin.catalog import open_dataset

    dataset = open_dataset(workspace.find(), name)

    def tell() -> None:
        table(None, ("", ""), [(key, value) for key, value in _summary(dataset).items()])
        _show_quality(dataset.manifest.get("quality", {}))

    emit(dict(dataset.manifest), as_json, tell)


@app.command()
def verify(name: Annotated[str, typer.Argument(help="Dataset.")], as_json: Json = False) -> None:
    """Re-hash every file of a dataset against its manifest."""
    from dolphin import workspace
    from dolphin.catalog import verify as verify_dataset

    problems = verify_dataset(workspace.find(), name)

    def tell() -> None:
        for line in problems or [f"{name}: every file is what the manifest says"]:
            say(line)

    emit({"dataset": name, "ok": not problems, "problems": problems}, as_json, tell)
    if problems:
        raise typer.Exit(1)


def _summary(dataset: Any) -> dict[str, Any]:
    from dolphin.catalog import format_spacing, format_time

    return {
        "name": dataset.name,
        "kind": "synthetic" if dataset.synthetic else "real",
        "spacing": format_spacing(dataset.spacing_ns),
        "symbols": len(dataset.symbols),
        "bars": dataset.n_bars,
        "first close": format_time(dataset.first_ts),
        "last close": format_time(dataset.last_ts),
        "reference": dataset.reference,
        "digest": dataset.digest[:16],
        "source": dataset.source,
    }


def _show_import(report: Any, as_json: bool) -> None:
    summary = _summary(report.dataset) | {"unchanged": report.unchanged}

    def tell() -> None:
        table(None, ("", ""), list(summary.items()))
        _show_quality(report.quality)
        for path in report.skipped:
            say(f"left out, no reader takes it: {path}")

    emit(summary | {"digest": report.dataset.digest, "quality": report.quality}, as_json, tell)


def _show_quality(quality: dict[str, Any]) -> None:
    """Rows, rejects by rule, and the symbols with the most missing bars."""
    if not quality:
        return
    counts = quality.get("counts", {})
    say(f"rows {quality['rows']:,}, rejected {quality.get('rejected', 0):,}, "
        f"missing {100 * quality.get('missing_share', 0.0):.3f} % of the grid")  # fmt: skip
    if any(counts.values()):
        table("rejected or mended, by rule", ("rule", "rows"), [(k, v) for k, v in counts.items() if v])
    gaps = quality.get("gaps", {})
    worst = sorted(gaps.items(), key=lambda item: -item[1]["missing"])[:10]
    rows = [(s, g["missing"], g["gaps"], g["longest"], f"{100 * g['share']:.2f} %") for s, g in worst if g["missing"]]
    if rows:
        table("symbols with most missing bars", ("symbol", "missing bars", "gaps", "longest", "share"), rows)
