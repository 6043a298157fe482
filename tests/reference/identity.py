"""The accounting identity of ENGINE section 8, checked on a run from its fills and trades alone."""

from __future__ import annotations

from collections import defaultdict

from dolphin.parity.slow.engine import Case, SlowRun


def check(case: Case, run: SlowRun) -> None:
    """Raise AssertionError unless money and quantities add up.

    Capital is initial + realised gross - fees + funding. Equity is initial + the cash of all fills - fees
    + funding + what is held at the last price. Both within 1e-9 of the money that moved. A slot's quantity
    of each asset is the signed sum of its fills, exactly, in lots.
    """
    fees = sum(fill.fee for fill in run.fills)
    funding = sum(run.payments)
    gross = sum(t.side * t.qty * (t.exit_price - t.entry_price) for t in run.trades)
    moved = case.capital + sum(fill.qty * fill.price for fill in run.fills) + abs(funding)
    capital = case.capital + gross - fees + funding
    assert abs(run.account.capital - capital) <= 1e-9 * moved, (run.account.capital, capital)

    price = case.market["price"][-1]
    cash = case.capital - sum(f.direction * f.qty * f.price for f in run.fills) - fees + funding
    held = sum(slot.side * slot.qty * float(price[slot.asset]) for slot in run.slots if slot.side != 0)
    assert abs(run.account.equity - (cash + held)) <= 1e-9 * moved, (run.account.equity, cash + held)
    assert abs(run.account.funding_paid - funding) <= 1e-9 * moved

    lots: dict[tuple[int, int], float] = defaultdict(float)
    for fill in run.fills:
        lots[fill.slot, fill.asset] += fill.direction * _lots(case, fill.asset, fill.qty)
    for s, slot in enumerate(run.slots):
        if slot.side != 0:
            lots[s, slot.asset] -= slot.side * _lots(case, slot.asset, slot.qty)
    assert not any(lots.values()), {key: count for key, count in lots.items() if count}


def _lots(case: Case, asset: int, qty: float) -> float:
    return float(round(qty / float(case.market["instruments"][asset]["lot"])))
