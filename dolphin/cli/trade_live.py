"""``dolphin trade live``, ``adopt``, ``flatten``: a champion on Binance, with real money unless told otherwise."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dolphin.cli.common import Json, emit, note, say
from dolphin.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from dolphin.gate.champions import Champion
    from dolphin.live.binance.asking import Client
    from dolphin.trade.folder import StateFolder
    from dolphin.workspace import Workspace

#: What a consent's tag in the audit log begins with; the champion's hash follows.
CONSENT = "i-understand-"

Named = Annotated[str, typer.Option("--champion", help="blue or green.")]
Environment = Annotated[str, typer.Option("--environment", help="live, testnet or demo.")]
Address = Annotated[str | None, typer.Option("--exchange-url", help="Another exchange than Binance.")]
State = Annotated[Path | None, typer.Option("--state", help="State folder; default: runs/trade/live-CHAMPION.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; goes on record. Mandatory.")]


def live(
    champion: Named = "blue",
    environment: Environment = "testnet",
    exchange_url: Address = None,
    leverage: Annotated[
        int | None, typer.Option("--leverage", min=1, max=125, help="What every symbol must be set to.")
    ] = None,
    i_understand: Annotated[
        bool, typer.Option("--i-understand", help="Orders may go out with real money; once per champion, on record.")
    ] = False,
    state: State = None,
    settings: Annotated[
        Path | None, typer.Option("--session", help="Session file (TOML): fsync, snapshot_bars, [limits].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Trade on Binance USDT futures; a kill loses nothing, the same command goes on.

    Keys come from BINANCE_API_KEY and BINANCE_API_SECRET or the keyring, never from a file.
    """
    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.gate.champions import open_champion
    from dolphin.live.binance.keys import leave_no_core, read_keys
    from dolphin.trade.champion import champion_to_run, require_long_record
    from dolphin.trade.live.session import trade_live
    from dolphin.trade.live.venue import Venue
    from dolphin.trade.settings import read_settings

    check_environment(environment)
    leave_no_core()
    home, keys, chosen = workspace.find(), read_keys(), read_settings(settings)
    runs = champion_to_run(home, champion)
    require_long_record(home, runs)
    frozen = open_champion(home, champion)
    require_consent(home, frozen, i_understand)
    dataset = open_dataset(home, frozen.document("run.json")["dataset"]["name"])
    folder = state_of(home, champion, state)
    venue = Venue(dataset, environment, exchange_url, leverage)
    note(f"dolphin: {champion} {frozen.hash[:12]} on {exchange_url or environment}, state in {folder}")
    ended = trade_live(home, runs, venue, folder, chosen, keys, say=lambda line: note(f"dolphin: {line}"))
    held = len(ended.status.get("positions", ()))
    emit(asdict(ended) | {"state_folder": str(folder)}, as_json, lambda: None)
    why = f"stopped; {held} positions stay open, the state is in {folder}"
    raise Interrupted(why, mend="the same command goes on")


def adopt(
    reason: Reason = "", champion: Named = "blue", environment: Environment = "testnet", exchange_url: Address = None,
    state: State = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Take the positions that the exchange has for the session's own, where its journal does not explain them."""
    from dolphin.files import read_json
    from dolphin.trade.live.rescue import adopt as take

    folder, client = _session(champion, state, environment, exchange_url)
    symbols = tuple(read_json(folder.about)["symbols"])
    line = _asked(client, take(folder, client, symbols, reason))
    held = ", ".join(f"{symbol} {amount}" for symbol, amount in line["positions"].items()) or "nothing"
    emit(line, as_json, lambda: say(f"adopt: {held}; on record, the session books it in its next row"))


def flatten(
    reason: Reason = "", champion: Named = "blue", environment: Environment = "testnet", exchange_url: Address = None,
    state: State = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Close everything with reduce-only market orders; a session that runs does it itself, and halts."""
    from dolphin.errors import Busy
    from dolphin.files import read_json
    from dolphin.locks import hold
    from dolphin.trade.control import Wanted, order
    from dolphin.trade.live.rescue import flatten as close

    folder, client = _session(champion, state, environment, exchange_url)
    try:
        with hold(folder.lock, busy="it runs"):
            line = _asked(client, close(folder, client, str(read_json(folder.about)["account"]), reason))
            told = f"flatten: {len(line['prices'])} positions closed; on record, the next start books it"
    except Busy:
        asyncio.run(client.close())
        line = order(folder, Wanted(True, True, reason), "flatten")
        told = "flatten: on record, the session closes what is its own within one bar, and halts"
    emit(line, as_json, lambda: say(told))


def check_environment(environment: str) -> None:
    """Refuse an environment that there is none of.

    Raises
    ------
    DolphinError
        With the nearest name.
    """
    from dolphin.errors import DolphinError, nearest
    from dolphin.live.binance.hooks import REST

    if environment not in REST:
        raise DolphinError(f"no environment '{environment}'", where="--environment", mend=nearest(environment, REST))


def state_of(home: Workspace, champion: str, state: Path | None) -> Path:
    """Where a live session of a pointer keeps its state."""
    return state or home.root / "runs" / "trade" / f"live-{champion}"


def _session(
    champion: str, state: Path | None, environment: str, exchange_url: str | None
) -> tuple[StateFolder, Client]:  # fmt: skip
    """The folder of a session, and whom to ask about its account."""
    from dolphin import workspace
    from dolphin.live.binance.asking import Client
    from dolphin.live.binance.hooks import REST
    from dolphin.live.binance.keys import leave_no_core, read_keys
    from dolphin.trade.folder import find_state

    check_environment(environment)
    leave_no_core()
    folder = find_state(state or state_of(workspace.find(), champion, None))
    return folder, Client(exchange_url or REST[environment], read_keys())


def _asked(client: Client, work: Coroutine[Any, Any, Any]) -> Any:
    """What the account said; the connection is closed."""

    async def asked() -> Any:
        try:
            return await work
        finally:
            await client.close()

    return asyncio.run(asked())


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
