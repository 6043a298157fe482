"""The compiled engine against the slow one, bit by bit, over random strategies, markets and fills."""

from __future__ import annotations

import dataclasses
import struct

import pytest
from reference.compiled import CompiledRun, run_compiled, working_of
from reference.random_case import random_case
from reference.slow_book import NONE, REVERSE
from reference.slow_engine import Case, SlowRun, run_slow

from dolphin.core.records import TRADE

#: The engine obeys postures, and two of the reasons bear a wait.
OBEYING: dict[str, object] = {"postures": True, "orderly": ("HELD", "DRAWN")}

#: Declarations are compiled: the fast suite draws from few.
FEW = (
    {"slots": 2, "orders": (), "resize": False, "margin": False, "fill_model": "scan_price"},
    {"slots": "assets", "orders": ("limit", "stop"), "resize": True, "margin": True, "fill_model": "volume_share"},
    {
        "slots": 3,
        "orders": ("limit", "stop"),
        "resize": True,
        "margin": True,
        "fill_model": "bar_range",
    }
    | OBEYING,
)
#: The slow one from these: each declaration with and without the others, under every model.
MANY = (
    *FEW,
    {"slots": 1, "orders": (), "resize": False, "margin": False, "fill_model": "bar_range"},
    {"slots": 4, "orders": ("limit",), "resize": False, "margin": False, "fill_model": "touch"},
    {"slots": 1, "orders": ("stop",), "resize": True, "margin": False, "fill_model": "scan_price"},
    {"slots": "assets", "orders": (), "resize": True, "margin": False, "fill_model": "volume_share"},
    {"slots": 2, "orders": ("limit", "stop"), "resize": False, "margin": True, "fill_model": "touch"},
    {"slots": 3, "orders": (), "resize": False, "margin": True, "fill_model": "scan_price"},
    {"slots": "assets", "orders": ("limit", "stop"), "resize": True, "margin": False, "fill_model": "scan_price"},
    {"slots": 1, "orders": ("limit", "stop"), "resize": True, "margin": True, "fill_model": "volume_share"},
    {"slots": 4, "orders": ("stop",), "resize": False, "margin": False, "fill_model": "bar_range"},
    {"slots": 1, "orders": (), "resize": False, "margin": False, "fill_model": "scan_price"} | OBEYING,
    {
        "slots": "assets",
        "orders": ("limit",),
        "resize": True,
        "margin": False,
        "fill_model": "volume_share",
    }
    | OBEYING,
    {"slots": 2, "orders": (), "resize": True, "margin": True, "fill_model": "touch"} | OBEYING,
)


def declared(case: Case, **values: object) -> Case:
    """The case with these declarations; what its parameters and columns must be follows."""
    values = dict(values)
    model = str(values.pop("fill_model"))
    margin = bool(values["margin"])
    friction = dataclasses.replace(
        case.friction, fill_model=model, maintenance=(case.friction.maintenance or 0.02) if margin else 0.0
    )
    ranged = () if model == "scan_price" else ("open", "high", "low")
    columns = ranged + (("volume",) if model == "volume_share" else ())
    columns += ("funding",) if "funding" in case.columns else ()
    orders = values["orders"]
    params = dict(case.params) | {
        "resize": int(bool(values["resize"])),
        "limits": int("limit" in orders),  # type: ignore[operator]
        "stops": int("stop" in orders),  # type: ignore[operator]
    }
    return dataclasses.replace(case, friction=friction, columns=columns, params=params, **values)  # type: ignore[arg-type]


def bits(value: float) -> bytes:
    """A number's bits; every NaN is the same."""
    return b"nan" if value != value else struct.pack("<d", value)


def same(a: object, b: object) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) or isinstance(b, float):
        return bits(float(a)) == bits(float(b))  # type: ignore[arg-type]
    return a == b


def first_difference(case: Case, slow: SlowRun, fast: CompiledRun) -> str | None:
    """What differs first, in words."""
    if not (fast.digests == fast.batch.digests).all():
        return "one call per bar and the batch loop differ"
    for i in range(case.bars):
        if slow.refused[i] != fast.refused[i]:
            return f"bar {i}: refused {slow.refused[i]}, compiled {fast.refused[i]}"
        for name in ("capital", "equity"):
            ours, theirs = getattr(slow, name)[i], getattr(fast, name)[i]
            if bits(ours) != bits(theirs):
                return f"bar {i}: {name} {ours!r}, compiled {theirs!r}"
    fills = [(f.bar, f.slot, f.direction, f.qty, f.price, f.fee) for f in slow.fills]
    fills.sort(key=lambda f: f[0])
    for k, (a, b) in enumerate(zip(fills, fast.fills, strict=False)):
        if not same(tuple(a), tuple(b)):
            return f"fill {k}: {a}, compiled {b}"
    if len(fills) != len(fast.fills):
        return f"{len(fills)} fills, compiled {len(fast.fills)}"
    names = [name for name in TRADE.names or () if name in slow.trades[0]._fields] if slow.trades else []
    for k, (trade, row) in enumerate(zip(slow.trades, fast.batch.trades, strict=True)):
        for name in names:
            if not same(getattr(trade, name), row[name].item()):
                return f"trade {k}: {name} {getattr(trade, name)!r}, compiled {row[name].item()!r}"
    for s, (order, theirs) in enumerate(zip(slow.working, working_of(fast), strict=True)):
        ours = None
        if order.action != NONE:
            lot = case.market["instruments"][order.asset]
            qty = order.qty
            if order.action == REVERSE:
                lots = round(slow.slots[s].qty / float(lot["lot"])) + round(order.qty / float(lot["lot"]))
                qty = lots * float(lot["lot_num"]) / float(lot["lot_den"])
            ours = (qty, order.kind, order.limit, order.trigger)
        if not same(ours, theirs):
            return f"working order of slot {s}: {ours}, compiled {theirs}"
    return None


def compare(case: Case) -> None:
    found = first_difference(case, run_slow(case), run_compiled(case))
    assert found is None, f"seed {case.seed}: {found}"


@pytest.mark.parametrize("seed", range(51))
def test_the_engines_agree(seed: int) -> None:
    compare(declared(random_case(seed), **FEW[seed % len(FEW)]))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_the_engines_agree_on_two_thousand_cases(block: int) -> None:
    for seed in range(1_000 + 100 * block, 1_100 + 100 * block):
        compare(declared(random_case(seed), **MANY[seed % len(MANY)]))
