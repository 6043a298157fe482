"""``dolphin exchange serve``: a futures exchange of one's own to drill against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli.common import From, To, note, window

if TYPE_CHECKING:
    from dolphin.exchange import FakeExchange, Tape

app = typer.Typer(help="A Binance futures exchange of one's own, on this machine.", no_args_is_help=True)


@app.callback()
def exchange() -> None:
    """A Binance futures exchange of one's own, on this machine."""


@app.command("serve")
def serve(
    dataset: Annotated[str | None, typer.Option("--dataset", help="Dataset whose bars are played.")] = None,
    symbols: Annotated[
        str | None, typer.Option("--symbols", help="Of the dataset these alone, or a random walk of them without one.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 8899,
    speed: Annotated[
        float, typer.Option("--speed", min=0.0, help="Times as fast as the clock; 0: only on request.")
    ] = 1.0,
    balance: Annotated[float, typer.Option("--balance", min=1.0, help="USDT of the account at first.")] = 25_000.0,
    start: From = None,
    stop: To = None,
    played: Annotated[int, typer.Option("--played", min=0, help="Bars that are history when it opens.")] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    funding: Annotated[
        float | None, typer.Option("--funding", help="Rate that falls due every eight hours, such as 0.0001.")
    ] = None,
    funding_table: Annotated[
        str | None, typer.Option("--funding-table", help="Table of recorded rates of the dataset's symbols.")
    ] = None,
    at_now: Annotated[
        bool, typer.Option("--now", help="Shift times so that the first bar to come is the next.")
    ] = False,
) -> None:
    """Serve REST and streams on 127.0.0.1 until SIGINT or SIGTERM; key 'key', secret 'secret'.

    POST /control asks for faults and bars, GET /control tells the state (docs/exchange.md).
    """
    import asyncio

    tape = _tape(dataset, symbols, window(start, stop), seed)
    if funding_table is not None:
        _fund_as_recorded(tape, dataset, funding_table)
    if played >= len(tape.close_ms):
        from dolphin.errors import DolphinError

        raise DolphinError(f"{played} bars of {len(tape.close_ms)} are history", where="--played", mend="name fewer")
    tape.at = played
    if at_now:
        _shift(tape)
    if funding is not None:
        _fund_by_the_clock(tape, funding)
    asyncio.run(_serve(tape, port, speed, balance, seed))
    raise typer.Exit(130)


async def _serve(tape: Tape, port: int, speed: float, balance: float, seed: int) -> None:
    """Until SIGINT or SIGTERM; a script's background processes are begun with SIGINT ignored, and end on it too."""
    import asyncio
    import signal

    from dolphin.exchange import FakeExchange

    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    exchange = FakeExchange(tape, balance=balance, seed=seed)
    await exchange.start(port)
    playing = asyncio.create_task(_play(exchange, speed))
    ending = asyncio.create_task(ended.wait())
    try:
        note(f"{len(exchange.rules)} symbols, {len(tape.close_ms)} bars of {tape.interval} at {exchange.url}")
        await asyncio.wait((playing, ending), return_when=asyncio.FIRST_COMPLETED)
        if playing.done():  # it failed, for it has no end
            playing.result()
    finally:
        playing.cancel()
        ending.cancel()
        await exchange.stop()


async def _play(exchange: FakeExchange, speed: float) -> None:
    import asyncio

    if speed:
        await exchange.play(speed)
        note("the tape is over; still serving")
    await asyncio.Event().wait()


def _tape(dataset: str | None, symbols: str | None, span: tuple[int | None, int | None], seed: int) -> Tape:
    """The bars of a dataset, or a random walk."""
    from dolphin.errors import DolphinError, nearest

    wanted = [name.strip().upper() for name in symbols.split(",") if name.strip()] if symbols else []
    if dataset is None:
        if not wanted:
            raise DolphinError("neither --dataset nor --symbols", mend="name what is to be played")
        return _walk(wanted, seed)
    from dolphin import workspace
    from dolphin.catalog import open_dataset

    data = open_dataset(workspace.find(), dataset)
    for name in wanted:
        if name not in data.symbols:
            raise DolphinError(f"has no symbol '{name}'", where=dataset, mend=nearest(name, data.symbols))
    return _recorded(data, wanted or list(data.symbols), span)


def _fund_as_recorded(tape: Tape, dataset: str | None, table: str) -> None:
    """The rates of a table of the dataset's symbols."""
    import numpy as np

    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.errors import DolphinError
    from dolphin.market.funding import funding_rates

    if dataset is None:
        raise DolphinError("recorded rates are of a dataset's symbols", where="--funding-table", mend="name --dataset")
    data = open_dataset(workspace.find(), dataset)
    first = int(np.searchsorted(data.prices().ts, int(tape.close_ms[0]) * 1_000_000))
    at = [data.symbols.index(rules.symbol) for rules in tape.rules]
    tape.funding = np.asarray(funding_rates(data, table)[first : first + len(tape.close_ms)][:, at])


def _fund_by_the_clock(tape: Tape, rate: float) -> None:
    """One rate, every eight hours of the tape."""
    import numpy as np

    due = tape.close_ms % (8 * 3_600_000) < tape.spacing_ms
    tape.funding = np.where(due[:, None], rate, 0.0) * np.ones(len(tape.rules))


def _recorded(data: Any, wanted: list[str], span: tuple[int | None, int | None]) -> Tape:
    import numpy as np

    from dolphin.errors import DolphinError
    from dolphin.exchange.tape import tape_of

    prices = data.prices()
    low = 0 if span[0] is None else int(np.searchsorted(prices.ts, span[0]))
    high = len(prices.ts) if span[1] is None else int(np.searchsorted(prices.ts, span[1]))
    if low >= high:
        raise DolphinError("no bar between --from and --to", where=data.name)
    at = [data.symbols.index(name) for name in wanted]
    rules = {}
    for j in at:
        one = data.instruments[j]
        tick, lot = (f"{n}e-{e}" for n, e in ((one.tick_num, one.tick_exp), (one.lot_num, one.lot_exp)))
        rules[one.symbol] = tick, lot, one.min_notional
    close = np.where(prices.age[low:high][:, at] == 0, prices.close[low:high][:, at], np.nan)
    from dolphin.catalog.store.columns import row_column

    held = data.frame().collect_schema().names()
    ranges = {
        name: np.asarray(row_column(data, name)[low:high][:, at])
        for name in ("open", "high", "low", "volume") if name in held
    }  # fmt: skip
    return tape_of(rules, data.spacing_ns // 1_000_000, prices.ts[low:high] // 1_000_000, close=close, **ranges)


def _walk(symbols: list[str], seed: int, bars: int = 7 * 1440) -> Tape:
    """A week of one-minute bars without memory, on the tick."""
    import numpy as np

    from dolphin.exchange.tape import tape_of

    steps = np.random.default_rng(seed).normal(0.0, 1e-3, (bars, len(symbols)))
    close = np.round(100.0 * np.exp(np.cumsum(steps, axis=0)), 2)
    rules = dict.fromkeys(symbols, ("0.01", "0.001", 5.0))
    return tape_of(rules, 60_000, 60_000 * (1 + np.arange(bars)), close=close)


def _shift(tape: Tape) -> None:
    """Move times by whole bars."""
    import time

    spacing = tape.spacing_ms
    due = (int(time.time() * 1000) // spacing + 1) * spacing
    tape.close_ms = tape.close_ms + (due - int(tape.close_ms[tape.at]))
