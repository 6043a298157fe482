"""What a decision needs is compiled by another process, which ends with the app."""

from __future__ import annotations

import time

import psutil
import pytest
from app_for_tests import App

from dolphin.parity.sides import RunSide, run_side
from dolphin.ui import warming
from dolphin.ui.warming import Warming, is_compiled

PATIENCE_S = 120.0


@pytest.fixture
def side(furnished) -> RunSide:
    return run_side(furnished.root / "runs" / "slow", furnished)


def test_a_run_whose_kernel_is_on_disk_waits_for_nobody(side: RunSide, furnished) -> None:
    config, market, _ = side.opened()
    state = config.engine.new_state(market.price.shape[1], 1_000.0)
    config.engine.run_per_bar(state, config.params_record(), config.friction_record(), market, 0, 2)
    assert is_compiled(side)
    assert Warming(furnished.root).seconds(side, 1) is None


@pytest.mark.slow
def test_a_kernel_that_is_not_there_is_compiled_aside(side: RunSide, furnished, monkeypatch) -> None:
    monkeypatch.setattr(warming, "is_compiled", lambda side: False)
    one = Warming(furnished.root)
    first = one.seconds(side, 3_000)
    ((process, _),) = one._begun.values()
    assert first is not None and process.args[3:] == ["why", str(side.folder), "--bar", "3000", "--json"]
    end = time.monotonic() + PATIENCE_S
    while one.seconds(side, 3_000) is not None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert process.returncode == 0
    assert one.seconds(side, 4_000) is None and len(one._begun) == 1


def test_the_page_is_told_and_the_process_ends_with_the_app(visit, monkeypatch) -> None:
    monkeypatch.setattr(warming, "is_compiled", lambda side: False)
    begun = []

    async def look(app: App) -> None:
        about = await app.data("/data/about/slow")
        found = await app.data(f"/data/why/slow?bar={about['last']}")
        assert found.keys() == {"bar", "compiling"} and found["bar"] == about["last"]
        begun.extend(child for child in psutil.Process().children() if "why" in child.cmdline())

    visit(look)
    assert len(begun) == 1 and not begun[0].is_running()
