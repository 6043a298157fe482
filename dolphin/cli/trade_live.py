"""``dolphin trade live``: a frozen champion on Binance, with real money unless told otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dolphin.cli.common import note

if TYPE_CHECKING:
    from dolphin.catalog import Dataset
    from dolphin.gate.champions import Champion
    from dolphin.live.feed import History
    from dolphin.workspace import Workspace

#: What a consent's tag in the audit log begins with; the champion's hash follows.
CONSENT = "i-understand-"


def live(
    champion: Annotated[str, typer.Option("--champion", help="blue or green.")] = "blue",
    environment: Annotated[str, typer.Option("--environment", help="live, testnet or demo.")] = "testnet",
    exchange_url: Annotated[
        str | None, typer.Option("--exchange-url", help="Another exchange, such as dolphin exchange serve.")
    ] = None,
    leverage: Annotated[
        int | None, typer.Option("--leverage", min=1, max=125, help="What every symbol must be set to.")
    ] = None,
    i_understand: Annotated[
        bool, typer.Option("--i-understand", help="Orders may go out with real money; once per champion, on record.")
    ] = False,
    state: Annotated[Path | None, typer.Option("--state", help="State folder; default: runs/live/POINTER.")] = None,
) -> None:
    """Trade on Binance USDT futures; a kill loses nothing, the same command goes on.

    Keys come from BINANCE_API_KEY and BINANCE_API_SECRET or the keyring, never from a file.
    """
    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.errors import DolphinError, Refused, nearest
    from dolphin.gate.candidate import frozen_config
    from dolphin.gate.champions import open_champion
    from dolphin.gate.promotion import runtime_problems
    from dolphin.live.binance.hooks import REST
    from dolphin.live.binance.keys import read_keys
    from dolphin.live.binance.running import Plan, trade_live

    if environment not in REST:
        raise DolphinError(f"no environment '{environment}'", where="--environment", mend=nearest(environment, REST))
    home, keys = workspace.find(), read_keys()
    frozen = open_champion(home, champion)
    if problems := runtime_problems(home, frozen):
        raise Refused(f"{champion} is not what was frozen: {'; '.join(problems)}", where=champion, details=problems)
    require_consent(home, frozen, i_understand)
    config = frozen_config(home, frozen)
    dataset = open_dataset(home, frozen.document("run.json")["dataset"]["name"])
    folder = state or home.root / "runs" / "live" / champion
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "journal.arrow"
    history = _history(dataset, exchange_url or REST[environment], path)
    plan = Plan(
        config, dataset.instruments, dataset.reference, dataset.spacing_ns, history,
        path, f"{champion}{frozen.hash[:8]}", environment, exchange_url, leverage,
    )  # fmt: skip
    note(f"dolphin: {champion} {frozen.hash[:12]} on {exchange_url or environment}, journal {plan.journal}")
    trader = trade_live(plan, keys)
    note(f"dolphin: stopped after row {trader.done}; positions stay open, the same command goes on")
    raise typer.Exit(130)


def require_consent(home: Workspace, champion: Champion, given: bool) -> None:
    """Refuse a champion that nobody has consented to; a new consent is a line of the audit log.

    Raises
    ------
    DolphinError
        Unless it was given, now or before.
    """
    from dolphin.errors import DolphinError
    from dolphin.gate.champions import TAG, append_tag, locked, recover

    name = CONSENT + champion.hash[:16]
    with locked(home):
        known = recover(home).log.of(f"{TAG}{name}")
    if known:
        return
    if not given:
        raise DolphinError(
            f"nobody has consented that {champion.hash[:12]} trades with real money", where="--i-understand",
            mend="add it once; it is kept in the audit log",
        )  # fmt: skip
    append_tag(home, name, champion.hash, reason="--i-understand: its orders may go out with real money")


def _history(dataset: Dataset, url: str, journal: Path) -> History:
    """The exchange's klines before the session's first row: as many as the scanner needs for the bits of research."""
    import asyncio
    from dataclasses import replace

    from dolphin.errors import DolphinError
    from dolphin.features import history_bars
    from dolphin.journal import Journal
    from dolphin.live.binance.asking import Client
    from dolphin.live.binance.feed import BinanceFeed

    rows, after = history_bars(dataset.spacing_ns), None
    if journal.exists() and (begun := Journal(journal)).bars:
        first = begun.header["first_bar"]
        rows, after = int(first["row"]), int(first["ts"]) - dataset.spacing_ns

    async def fetch() -> History:
        client = Client(url)
        try:
            feed = BinanceFeed(client, dataset.instruments, dataset.reference, dataset.spacing_ns, dataset.first_ts)
            return await feed.history(rows, after)
        finally:
            await client.close()

    found = asyncio.run(fetch())
    if len(found.ts) < rows:
        raise DolphinError(
            f"the exchange has {len(found.ts)} bars of history, {rows} are needed", where=dataset.name,
            mend="wait until it has more",
        )  # fmt: skip
    return replace(found, first=0)
