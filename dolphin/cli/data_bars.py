"""``dolphin data bars``: a dataset of bars made of ticks."""

from __future__ import annotations

from typing import Annotated

import typer

from dolphin.cli.common import Json, emit, table


def bars(
    ticks: Annotated[str, typer.Argument(help="A dataset of ticks.")],
    name: Annotated[str, typer.Option("--name", help="Name of the dataset of bars.")],
    spacing: Annotated[str, typer.Option("--spacing", help="Bar spacing: 1s, 5s, 1m, 5m, 1h.")],
    reference: Annotated[
        str | None, typer.Option("--reference", help="Symbol whose volatility gates; BTCUSDT, else the first.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bars of ticks, with tick counts."""
    from dolphin import workspace
    from dolphin.catalog.derived.tick_bars import make_bars
    from dolphin.catalog.store.tables import open_table
    from dolphin.times import format_time, parse_spacing

    home = workspace.find()
    dataset, unchanged = make_bars(home, open_table(home, ticks), name, parse_spacing(spacing), reference=reference)
    summary = {
        "name": dataset.name,
        "ticks": ticks,
        "spacing": dataset.manifest["spacing"],
        "symbols": list(dataset.symbols),
        "reference": dataset.reference,
        "rows": dataset.manifest["rows"],
        "bars": dataset.n_bars,
        "tick count": dataset.manifest["quality"]["ticks"],
        "first close": format_time(dataset.first_ts),
        "last close": format_time(dataset.last_ts),
        "digest": dataset.digest,
        "unchanged": unchanged,
    }

    def show() -> None:
        shown = {**summary, "symbols": ", ".join(dataset.symbols), "digest": dataset.digest[:16]}
        table(None, ("", ""), list(shown.items()))

    emit(summary | {"quality": dataset.manifest["quality"]}, as_json, show)
