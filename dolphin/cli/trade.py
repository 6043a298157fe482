"""``dolphin trade``: a session of a champion."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import From, Json, To, emit, note, say, window

app = typer.Typer(no_args_is_help=True, help="A frozen champion on a feed: paper.")

State = Annotated[Path | None, typer.Option("--state", help="State folder; default: runs/trade/ACCOUNT.")]


@app.command()
def paper(
    feed: Annotated[str, typer.Option("--feed", help="replay:DATASET, scans:FOLDER[@DATASET] or store:URL@DATASET.")],
    champion: Annotated[str, typer.Option("--champion", help="blue or green.")] = "blue",
    config: Annotated[
        Path | None, typer.Option("--config", help="A config file in place of a champion; marked UNFROZEN.")
    ] = None,
    speed: Annotated[float, typer.Option("--speed", help="Times as fast as the clock; 0: as fast as it goes.")] = 1.0,
    start: From = None,
    stop: To = None,
    state: State = None,
    settings: Annotated[
        Path | None, typer.Option("--session", help="Session file (TOML): fsync, snapshot_bars, [limits].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Trade on Nautilus' sandbox exchange; a kill loses nothing, the same command goes on."""
    from dolphin import workspace
    from dolphin.trade.champion import champion_to_run, config_to_run
    from dolphin.trade.feeds import FeedOptions, open_feed
    from dolphin.trade.paper import trade_paper
    from dolphin.trade.settings import read_settings

    home = workspace.find()
    chosen = read_settings(settings)
    runs = champion_to_run(home, champion) if config is None else config_to_run(home, config)
    opened = open_feed(home, feed, runs.config, FeedOptions(speed, *window(start, stop)))
    folder = state or home.root / "runs" / "trade" / runs.account
    if not runs.frozen:
        note(f"dolphin: {runs.account}: UNFROZEN, no gate has seen this configuration")
    ended = trade_paper(home, runs, opened, folder, chosen, feed=feed, say=lambda line: note(f"dolphin: {line}"))

    def tell() -> None:
        if not ended.bars:
            say("the feed had nothing new")
            return
        status = ended.status
        held = len(status["positions"])
        say(
            f"{ended.bars:,} bars in {ended.seconds:.1f} s, capital {status['capital']:,.2f}, "
            f"{status['trades']} trades, {held} positions open, digest {status['digest']}"
        )

    emit(asdict(ended) | {"state_folder": str(folder), "frozen": runs.frozen}, as_json, tell)
    if ended.interrupted:
        held = len(ended.status.get("positions", ()))
        note(f"dolphin: stopped; {held} positions stay open, the state is in {folder}; the same command goes on")
        raise typer.Exit(130)
