"""The compiled engine against the slow one, bit by bit, over random strategies, markets and fills."""

from __future__ import annotations

import dataclasses

import pytest

from dolphin.parity.slow.agreement import first_difference
from dolphin.parity.slow.compiled_case import run_batch, run_case
from dolphin.parity.slow.engine import Case, run_slow
from dolphin.parity.slow.random_case import random_case

#: The engine obeys postures, and two of the reasons bear a wait.
OBEYING: dict[str, object] = {"postures": True, "orderly": ("HELD", "DRAWN")}

#: And by the account's own drawdown, over bars of hours, so that peaks are forgotten.
WEIGHING = OBEYING | {"drawdown": True}
HOURS = 6

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
    | WEIGHING,
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
    {"slots": 1, "orders": (), "resize": False, "margin": False, "fill_model": "scan_price"} | WEIGHING,
    {
        "slots": "assets",
        "orders": ("limit", "stop"),
        "resize": True,
        "margin": True,
        "fill_model": "volume_share",
    }
    | WEIGHING,
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
    if values.get("drawdown"):
        ts = case.market["ts"]
        case = dataclasses.replace(case, market={**case.market, "ts": ts[0] + 60 * HOURS * (ts - ts[0])})
    orders = values["orders"]
    params = dict(case.params) | {
        "resize": int(bool(values["resize"])),
        "limits": int("limit" in orders),  # type: ignore[operator]
        "stops": int("stop" in orders),  # type: ignore[operator]
    }
    return dataclasses.replace(case, friction=friction, columns=columns, params=params, **values)  # type: ignore[arg-type]


def compare(case: Case) -> None:
    found = first_difference(case, run_slow(case), run_case(case))
    assert found is None, f"seed {case.seed}: {found}"


@pytest.mark.parametrize("seed", range(51))
def test_the_engines_agree(seed: int) -> None:
    case = declared(random_case(seed), **FEW[seed % len(FEW)])
    compare(case)
    assert run_batch(case).digests.tolist() == run_case(case).digests  # many calls and one loop


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_the_engines_agree_on_two_thousand_cases(block: int) -> None:
    for seed in range(1_000 + 100 * block, 1_100 + 100 * block):
        compare(declared(random_case(seed), **MANY[seed % len(MANY)]))
