"""``dolphin trade``: a session of a champion."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import From, Json, To, emit, note, say, window
from dolphin.errors import Interrupted

app = typer.Typer(no_args_is_help=True, help="A frozen champion on a feed: paper.")

State = Annotated[Path | None, typer.Option("--state", help="State folder; default: runs/trade/ACCOUNT.")]


@app.command()
def paper(
    feed: Annotated[
        str,
        typer.Option("--feed", help="replay:DATASET, binance[:DATASET], scans:FOLDER[@DATASET], store:URL@DATASET."),
    ],
    champion: Annotated[str, typer.Option("--champion", help="blue or green.")] = "blue",
    config: Annotated[
        Path | None, typer.Option("--config", help="A config file in place of a champion; marked UNFROZEN.")
    ] = None,
    speed: Annotated[float, typer.Option("--speed", help="Times as fast as the clock; 0: as fast as it goes.")] = 1.0,
    start: From = None,
    stop: To = None,
    state: State = None,
    settings: Annotated[
        Path | None, typer.Option("--session", help="Session file (TOML): fsync, snapshot_bars, [limits], [risk].")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", help="embedded, embedded:FOLDER or hazelcast://host:port/cluster: risk in, state out."),
    ] = None,
    environment: Annotated[
        str, typer.Option("--environment", help="Of the feed binance: live, testnet or demo; public data, no keys.")
    ] = "live",
    exchange_url: Annotated[
        str | None, typer.Option("--exchange-url", help="Another exchange, such as dolphin exchange serve.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Trade on Nautilus' sandbox exchange; a kill loses nothing, the same command goes on."""
    from dolphin import workspace
    from dolphin.trade.champion import champion_to_run, config_to_run, may_buy, require_long_record
    from dolphin.trade.settings import read_settings

    home = workspace.find()
    chosen = read_settings(settings)
    runs = champion_to_run(home, champion) if config is None else config_to_run(home, config)
    # The node's libraries take seconds to import: what cannot begin is said before.
    from dolphin.trade.feeds import FeedOptions, open_feed
    from dolphin.trade.paper import trade_paper

    options = FeedOptions(speed, *window(start, stop), runs.dataset, environment, exchange_url)
    opened = open_feed(home, feed, runs.config, options)
    folder = state or home.root / "runs" / "trade" / runs.account
    if runs.frozen:
        require_long_record(home, runs)
    else:
        long = ", and it may buy" if may_buy(runs.config) else ""
        note(f"dolphin: {runs.account}: UNFROZEN, no gate has seen this configuration{long}")
    note(f"dolphin: {runs.account} on {feed}, state in {folder}; Ctrl-C ends it, positions stay")
    ended = trade_paper(
        home, runs, opened, folder, chosen, feed=feed, say=lambda line: note(f"dolphin: {line}"), store=store
    )

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
        raise Interrupted(
            f"stopped; {held} positions stay open, the state is in {folder}", mend="the same command goes on"
        )


@app.command()
def watch(
    session: Annotated[
        Path | None, typer.Argument(metavar="[SESSION]", help="State folder or account; default: the only session.")
    ] = None,
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
) -> None:
    """A session on the terminal, from its files alone; plain lines where there is no terminal."""
    from rich.console import Console

    from dolphin import workspace
    from dolphin.trade.dashboard import watch as show
    from dolphin.trade.looking import find_session

    show(find_session(workspace.find(), session), Console(), every=every, once=once)
