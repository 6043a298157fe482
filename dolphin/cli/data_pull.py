"""``dolphin data pull``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli.common import From, Json, To, emit, progress_bar, say, table, window
from dolphin.errors import DolphinError

if TYPE_CHECKING:
    from dolphin.catalog import Dataset
    from dolphin.catalog.pull.puller import PullReport


def pull(
    symbols: Annotated[str, typer.Option("--symbols", help="Comma separated, as the exchange writes them.")],
    start: From,
    stop: To = None,
    interval: Annotated[str, typer.Option("--interval", help="Candle length: 1s, 1m, 5m, 1h, ...")] = "1m",
    exchange: Annotated[str, typer.Option("--exchange", help="binance.")] = "binance",
    market: Annotated[str, typer.Option("--market", help="um (USD-margined perpetuals) or spot.")] = "um",
    name: Annotated[str | None, typer.Option("--name", help="Import what was pulled as this dataset.")] = None,
    reference: Annotated[str, typer.Option("--reference", help="Symbol whose volatility gates.")] = "BTCUSDT",
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=16, help="Downloads at a time.")] = 4,
    archive: Annotated[str | None, typer.Option("--archive", help="Base address of the archive.")] = None,
    rest: Annotated[str | None, typer.Option("--rest", help="Base address of the REST interface.")] = None,
    as_json: Json = False,
) -> None:
    """Public daily and monthly kline archives, checksums verified; REST for the newest days."""
    import time

    from dolphin import workspace
    from dolphin.catalog import import_klines, parse_spacing
    from dolphin.catalog.pull import pull as pull_files
    from dolphin.times import DAY_NS

    home = workspace.find()
    start_ns, stop_ns = window(start, stop)
    assert start_ns is not None
    stop_ns = (time.time_ns() // DAY_NS + 1) * DAY_NS if stop_ns is None else stop_ns
    wanted = [symbol.strip() for symbol in symbols.split(",") if symbol.strip()]
    if name and wanted and reference not in wanted:
        raise DolphinError(
            f"the reference symbol {reference} is not among --symbols", mend=f"choose one: --reference {wanted[0]}"
        )
    with progress_bar() as progress:
        report = pull_files(
            home, wanted, interval, start_ns, stop_ns,
            exchange=exchange, market=market, archive=archive, rest=rest, jobs=jobs, progress=progress,
        )  # fmt: skip
    if report.failed:
        raise DolphinError(
            f"{len(report.failed)} file(s) could not be had; {report.failed[0]}",
            mend="run the same command again: what is here is not fetched twice",
        )
    data = None
    if name:
        with progress_bar() as progress:
            # A day's last candle closes at the midnight that ends it.
            data = import_klines(
                home, report.folder, name,
                spacing_ns=parse_spacing(interval), symbols=wanted, reference=reference,
                start_ns=start_ns + 1, stop_ns=stop_ns + 1, progress=progress,
            ).dataset  # fmt: skip
    emit(_document(report, data), as_json, lambda: _show(report, data, interval))


def _document(report: PullReport, data: Dataset | None) -> dict[str, Any]:
    """What ``--json`` prints: the files, and the dataset that was made of them."""
    from dolphin.catalog import format_time

    pulled = {
        "folder": str(report.folder),
        "fetched": report.fetched,
        "known": report.known,
        "bytes": report.bytes,
        "provisional": report.provisional,
        "absent": report.absent,
    }
    if data is None:
        return pulled
    made = {"dataset": data.name, "digest": data.digest, "bars": data.n_bars, "last": format_time(data.last_ts)}
    return pulled | made


def _show(report: PullReport, data: Dataset | None, interval: str) -> None:
    """The same for people."""
    from dolphin.catalog import format_time

    say(f"{report.fetched} files fetched ({report.bytes / 1e6:,.1f} MB), {report.known} were here: {report.folder}")
    for title, days in (("from REST until the archive has them", report.provisional), ("absent", report.absent)):
        if days:
            table(title, ("symbol", "days", "first", "last"), _spans(days))
    if data:
        last = format_time(data.last_ts)
        say(f"{data.name}: {data.n_bars:,} bars up to {last}, digest {data.digest[:16]}")
    else:
        say(f"import them: dolphin data import {report.folder} --name NAME --spacing {interval}")


def _spans(lines: Sequence[str]) -> list[tuple[str, int, str, str]]:
    """Per symbol: days, first and last one, of ``SYMBOL DAY`` lines."""
    days: dict[str, list[str]] = {}
    for line in lines:
        symbol, day = line.split(" ")
        days.setdefault(symbol, []).append(day)
    return [(symbol, len(found), min(found), max(found)) for symbol, found in sorted(days.items())]
