"""Rung 2: the step inside a Nautilus strategy, its orders matched by Nautilus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dolphin.core.records import DAY_NS, Market
from dolphin.errors import DolphinError
from dolphin.journal import JournalWriter, SessionJournal
from dolphin.journal.header import header_of, lookback, shape_for
from dolphin.parity.case import ORDER_FILLED, Case, unequal_fills
from dolphin.study.measure.run import library_versions

if TYPE_CHECKING:
    from dolphin.live.backtest import Feed, NautilusRun

#: Nautilus' account may differ from ours by this much (USDT) ...
ACCOUNT_TOLERANCE = 1e-6
#: ... or, after many fills, by what rounding money to 8 decimals three times a fill can add up to.
ROUNDING_PER_FILL = 1.5e-8

#: Data objects of a chunk: no multiple of what a bar has.
CHUNK = 211

#: Bar events of the full run when its length is not given.
FULL_EVENTS = 30_000

Outcome = tuple[bool, str, dict[str, Any]]


def default_full_bars(case: Case) -> int:
    """One day, or as many bars as make :data:`FULL_EVENTS` events, whichever is less."""
    assets = case.market.price.shape[1]
    return max(1, min(case.bars, DAY_NS // case.dataset.spacing_ns, FULL_EVENTS // (assets + 1)))


def fast_rung(case: Case, fed: Market | None = None) -> Outcome:
    """Every bar of the window; one data object per scan carries the whole price vector."""
    return nautilus_rung(case, "scan", fed)


def full_rung(case: Case, fed: Market | None = None) -> Outcome:
    """Every instrument's bars go through Nautilus, and the strategy reads its prices from them."""
    return nautilus_rung(case, "bars", fed)


def quoted_rung(case: Case, fed: Market | None = None) -> Outcome:
    """Every instrument is quoted before a scan, and the strategy reads its prices from the quotes."""
    return nautilus_rung(case, "quotes", fed)


def node_chunks_rung(case: Case, fed: Market | None = None) -> Outcome:
    """Nautilus' own ``BacktestNode`` over a Parquet catalog in chunks that end inside a bar, against one engine's run.

    Every digest and stage word, every fill with its commission, every realised P&L and the account must be the very
    same numbers; and the decisions are those of the batch loop.
    """
    from dolphin.live.backtest import run_backtest
    from dolphin.live.catalog_run import run_from_catalog

    what, options = _arguments(case, fed)
    try:
        alone = run_backtest(*what, feed="bars", **options)
        streamed = run_from_catalog(*what, chunk=CHUNK, **options)
    except DolphinError as error:
        return False, str(error), {}
    passed, sentence, facts = compare(case, streamed)
    facts["chunks"] = -(-streamed.events // CHUNK)
    unequal = _first_unequal(alone, streamed)
    if passed and unequal:
        return False, f"in chunks {unequal} is another than in one engine's run", facts
    return passed, f"{sentence}; {facts['chunks']} chunks are one run" if passed else sentence, facts


def _first_unequal(alone: NautilusRun, streamed: NautilusRun) -> str | None:
    """What of two runs is not the same bits."""
    for name in ("digests", "stages", "fills", "realized"):
        if getattr(alone, name).tobytes() != getattr(streamed, name).tobytes():
            return name
    return None if alone.account_total == streamed.account_total else "the account's balance"


def nautilus_rung(case: Case, feed: Feed, fed: Market | None = None) -> Outcome:
    """Run the case in Nautilus and compare; ``fed`` is what Nautilus sees in place of the market."""
    from dolphin.live.backtest import run_backtest

    what, options = _arguments(case, fed)
    journal = journal_for(case, feed)
    try:
        run = run_backtest(*what, feed=feed, journal=journal, **options)
    except DolphinError as error:
        return False, str(error), {}
    finally:
        if journal is not None:
            journal.writer.close()
    return compare(case, run)


def _arguments(case: Case, fed: Market | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a run in Nautilus is given of a case."""
    market = case.market if fed is None else fed
    what = (
        case.engine, case.dataset.instruments, case.dataset.spacing_ns, market, case.params, case.friction,
        case.capital, case.start, case.stop,
    )  # fmt: skip
    model, plugged = case.config.friction.model, case.config.strategy.plugged(case.config.params)
    return what, {"fill_model": model, "regular": case.is_regular, "plugged": plugged}


def journal_for(case: Case, feed: Feed | Literal["node"], *, write_ahead: bool = False) -> SessionJournal | None:
    """The journal of a run of this case, ``nautilus-FEED.arrow`` in the case's folder; None if it has none."""
    if case.journals is None:
        return None
    header = header_of(
        case.dataset, case.market, case.config, case.start,
        session="nautilus node" if feed == "node" else f"nautilus backtest, {feed}",
        versions=library_versions(), write_ahead=write_ahead,
    )  # fmt: skip
    case.journals.mkdir(parents=True, exist_ok=True)
    path = case.journals / f"nautilus-{feed}.arrow"
    path.unlink(missing_ok=True)
    writer = JournalWriter(path, shape_for(case.market, case.config), header, policy="never")
    journal = SessionJournal(writer, write_ahead=write_ahead)
    journal.history(case.market, case.start, lookback(case.config))
    return journal


def compare(case: Case, run: NautilusRun) -> Outcome:
    """Digests, fills, account and realised P&L of a Nautilus run against the batch loop's."""
    facts = _facts(case, run)
    found = case.divergence(run.digests, run.stages)
    if found:
        refused = f"; Nautilus refused an order: {run.refusals[0]}" if run.refusals else ""
        return False, f"{found.sentence()}{refused}", {**facts, **found.facts()}
    theirs = np.zeros(len(run.fills), ORDER_FILLED)
    for name in ORDER_FILLED.names or ():
        theirs[name] = run.fills[name]
    unequal = unequal_fills(case.trace.fills, theirs)
    if unequal:
        return False, f"fills differ: {unequal}", facts
    allowed = max(ACCOUNT_TOLERANCE, ROUNDING_PER_FILL * len(run.fills))
    if not abs(facts["account_difference"]) <= allowed:
        return False, f"the account ends {facts['account_difference']:.3g} USDT from ours", facts
    if not case.resizes:  # otherwise a position of Nautilus' is several trades of ours
        if len(run.realized) != len(case.batch.trades):
            return False, f"{len(run.realized)} positions were closed, ours {len(case.batch.trades)}", facts
        if not facts["largest_pnl_difference"] <= ACCOUNT_TOLERANCE:
            return False, f"a position's P&L is {facts['largest_pnl_difference']:.3g} USDT from ours", facts
    sentence = (
        f"all {case.bars:,} digests and {len(run.fills):,} fills are equal; the account differs by "
        f"{abs(facts['account_difference']):.1e} USDT (rounding to 8 decimals over {len(run.fills):,} fills)"
    )
    return True, sentence, facts


def _facts(case: Case, run: NautilusRun) -> dict[str, Any]:
    # Those of one bar may close in another order.
    pnl, realized = np.sort(case.batch.trades["pnl"]), np.sort(run.realized)
    same = len(pnl) == len(realized)
    capital = float(case.batch.state.account["capital"][0])
    return {
        "first_row": case.start,
        "events": run.events,
        "microseconds_per_scan": 1e6 * run.seconds / case.bars,
        "orders": len(run.fills),
        "trades": len(case.batch.trades),
        "account_difference": run.account_total - capital,
        "commission_difference": float(np.sum(run.fills["commission"] - run.fills["fee"])),
        "largest_pnl_difference": float(np.max(np.abs(pnl - realized), initial=0.0)) if same else None,
        "refused_orders": len(run.refusals),
    }
