"""Runs under stress: what must equal the backtest, what must be worse, and that a seed settles all."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from typed_documents import is_typed

from dolphin.config import Config, parse_config
from dolphin.core import taking
from dolphin.core.records import TRADE, Market
from dolphin.errors import DolphinError
from dolphin.study.backtest import backtest
from dolphin.study.measure.measured import first_difference, measure, run_alone
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.stress import monte_carlo
from dolphin.study.stress.disturbed import UNDISTURBED, Disturbance, run_disturbed
from dolphin.study.stress.monte_carlo import stress
from dolphin.study.stress.stress_document import StressDocument
from dolphin.study.stress.stress_folder import read_stress
from dolphin.study.stress.stress_summary import break_even
from dolphin.study.stress.trade_orders import capital_path, growth_of
from dolphin.study.trials.registry import Registry
from dolphin.study.trials.trials import rerun_sample, trials_of
from dolphin.workspace import Workspace

SLEEVES = {
    "strategy": "vel_div_sleeves",
    "params": {
        "short_threshold": -0.004, "short_extreme": -0.02, "long_threshold": 0.004, "long_extreme": 0.02,
        "vol_gate_mode": "off", "tp_pct": 0.002, "max_hold_bars": 30,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def rows_of(market: Market) -> tuple[int, int]:
    return 800, len(market.ts)


@pytest.mark.parametrize("timing", ["close", "next"])
def test_an_undisturbed_run_is_the_single_run_bit_for_bit(
    busy: Config, market: Market, rows_of: tuple[int, int], timing: str
) -> None:
    config = busy.with_values({"fill_timing": timing})
    found = run_disturbed([config, config], [UNDISTURBED, Disturbance(seed=9)], market, *rows_of, threads=2)
    alone = run_alone(config, market, *rows_of)
    assert found.metrics["trades"][0] > 20
    assert first_difference(found, 0, alone) is None and first_difference(found, 1, alone) is None


def test_the_same_for_two_slots(dataset, market: Market, rows_of: tuple[int, int]) -> None:
    from dolphin.market.assemble import open_market

    config = parse_config(SLEEVES, where="test")
    view = open_market(dataset, config)
    found = run_disturbed([config, config], [UNDISTURBED, Disturbance(missed=1.0)], view, *rows_of)
    assert first_difference(found, 0, run_alone(config, view, *rows_of)) is None
    assert found.metrics["trades"].tolist()[1] == 0 < found.metrics["trades"].tolist()[0]


@pytest.mark.parametrize("timing", ["close", "next"])
def test_missed_entries(busy: Config, market: Market, rows_of: tuple[int, int], timing: str) -> None:
    config = busy.with_values({"fill_timing": timing})
    shares = [0.0, 0.3, 0.6, 1.0]
    runs = [Disturbance(missed=share, seed=s) for share in shares for s in range(20)]
    found = run_disturbed([config] * len(runs), runs, market, *rows_of, threads=2)
    trades = found.metrics["trades"].reshape(4, 20)
    assert (trades[0] == trades[0, 0]).all() and (trades[3] == 0).all()
    assert trades[0, 0] > trades[1].mean() > trades[2].mean() > 0
    assert (found.metrics["final_equity"].reshape(4, 20)[3] == config.account.initial_capital).all()


def test_noise_moves_fills_and_nothing_else(busy: Config, market: Market, rows_of: tuple[int, int]) -> None:
    runs = [Disturbance(noise_bps=size, seed=s) for size in (1.0, 10.0) for s in range(40)]
    found = run_disturbed([busy] * len(runs), runs, market, *rows_of, threads=2)
    base = run_alone(busy, market, *rows_of)
    roi = found.metrics["roi"].reshape(2, 40)
    assert len(np.unique(roi)) == 80 and roi[0].std() < roi[1].std()
    assert abs(roi[0].mean() - base.metrics["roi"][0]) < 4.0 * roi[0].std()


def test_a_run_depends_on_nothing_but_itself(busy: Config, market: Market, rows_of: tuple[int, int]) -> None:
    runs = [Disturbance(5.0, 0.2, seed) for seed in range(11)]
    together = run_disturbed([busy] * 11, runs, market, *rows_of, threads=2)
    for k in (0, 9):
        alone = run_disturbed([busy], [runs[k]], market, *rows_of)
        assert first_difference(alone, 0, run_disturbed([busy], [runs[k]], market, *rows_of)) is None
        for name in ALL_METRICS:
            assert together.metrics[name][k].tobytes() == alone.metrics[name][0].tobytes(), name


def test_noise_of_a_price_is_nearly_normal() -> None:
    word, bell = taking.word.py_func, taking.bell.py_func
    with np.errstate(over="ignore"):
        values = np.array([bell(word(np.uint64(77), i, j)) for i in range(150) for j in range(40)])
    assert abs(values.mean()) < 0.05 and abs(values.std() - 1.0) < 0.03 and abs(values).max() < 3.47
    grid = values.reshape(150, 40)
    assert abs(np.corrcoef(grid[1:].ravel(), grid[:-1].ravel())[0, 1]) < 0.05
    assert abs(np.corrcoef(grid[:, 1:].ravel(), grid[:, :-1].ravel())[0, 1]) < 0.05


def test_the_whole_test(home: Workspace, busy: Config, tmp_path) -> None:
    plain = backtest(home, "m", busy)
    done = stress(home, "m", busy, runs=12, seed=4, out=tmp_path / "s")
    rows, document = done.rows, done.document
    base = rows.filter(kind="base")
    for name in ALL_METRICS:
        assert np.array([base[name][0]]).tobytes() == np.array([plain.metrics[name]]).tobytes(), name
    counts = dict(rows.group_by("kind").len().iter_rows())
    assert counts == {
        "base": 1, "friction": 36, "delayed": 1, "noise": 48, "missed": 48, "permuted": 12, "bootstrap": 12
    }  # fmt: skip
    grid = rows.filter(kind="friction")
    free, dear = (grid.filter(parameter=bps) for bps in (0.0, 10.0))
    assert free["fees_paid"][0] == 0.0 and free["roi"][0] > dear["roi"][0]
    late = measure([busy.with_values({"fill_timing": "next"})], plain.market, plain.start, plain.stop)
    assert rows.filter(kind="delayed")["roi"][0] == late.metrics["roi"][0]
    shuffled = rows.filter(kind="permuted")
    assert np.ptp(shuffled["roi"].to_numpy()) < 1e-9 and shuffled["max_drawdown"].n_unique() > 6
    # One slot: the trades one after the other are the realised capital.
    capital = plain.recording.trades["capital_after"][-1]
    assert shuffled["final_equity"][0] == pytest.approx(capital, rel=1e-9)
    assert document["base"]["roi"] == plain.metrics["roi"] and len(document["friction"]) == 11
    assert {"noise", "missed", "permuted", "bootstrap"} == set(document["fans"])
    read, frame = read_stress(tmp_path / "s")
    assert read == document and frame.equals(rows)
    assert is_typed(read, StressDocument)


def test_the_same_seed_gives_the_same_rows(home: Workspace, busy: Config) -> None:
    one, two = (stress(home, "m", busy, runs=3, seed=7).rows for _ in range(2))
    other = stress(home, "m", busy, runs=3, seed=8).rows
    assert one.equals(two) and not one.equals(other)
    assert one.filter(kind="friction").equals(other.filter(kind="friction"))


def test_every_run_is_registered_and_can_be_told_from_a_trial(home: Workspace, busy: Config) -> None:
    before = Registry(home).trials().collect().height
    done = stress(home, "m", busy, runs=3)
    trials = trials_of(home, "stress")
    real = done.rows.filter(~pl.col("kind").is_in(["permuted", "bootstrap"]))
    assert trials.height == real.height == Registry(home).trials().collect().height - before
    assert trials["trial"].to_list() == list(range(real.height))
    assert trials["roi"].to_list() == real["roi"].to_list()
    assert set(trials["role"]) == {"stress"} and set(trials["state"]) == {"done"}
    # 36 frictions, of which one is the base's, and delayed fills: noise is no further configuration.
    assert trials["config_hash"].n_unique() == 37
    assert Registry(home).count_on(done.run.dataset.digest) == 37
    again = rerun_sample(home, trials, trials.height)
    assert (
        not again.different
        and again.equal == 1 + 36 + 1
        and again.not_runnable == {"it was run under stress, with its fills or entries disturbed": 24}
    )


def test_an_interrupt_leaves_what_was_looked_at_and_no_folder(
    home: Workspace, busy: Config, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    true = monte_carlo.run_disturbed
    calls: list[int] = []

    def third(*arguments, **options):
        calls.append(1)
        return (stop if len(calls) == 3 else true)(*arguments, **options)

    monkeypatch.setattr(monte_carlo, "run_disturbed", third)
    with pytest.raises(KeyboardInterrupt):
        stress(home, "m", busy, runs=4, out=tmp_path / "s")
    states = trials_of(home, "stress")["state"].to_list()
    assert states == ["done"] * 38 + ["interrupted"] * 4 and not (tmp_path / "s").exists()


def test_a_base_run_that_differs_stops_the_test(
    home: Workspace, busy: Config, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monte_carlo, "first_difference", lambda *_: "roi 1.0, alone 2.0")
    with pytest.raises(DolphinError, match="not the backtest's: roi"):
        stress(home, "m", busy, runs=2, out=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_without_a_trade(home: Workspace, busy: Config) -> None:
    quiet = busy.with_values({"short_threshold": -9.0, "short_extreme": -10.0, "direction": "short_only"})
    done = stress(home, "m", quiet, runs=2)
    assert (done.rows["trades"] == 0).all() and done.document["break_even_bps"] is None
    assert "bootstrap" not in done.document["fans"]


def test_break_even_lies_where_the_return_turns() -> None:
    def rows(*roi: float) -> pl.DataFrame:
        bps = [2.0 * k for k in range(len(roi))]
        half = [b / 4 for b in bps]
        same = {"sharpe_365": list(roi), "max_drawdown": list(roi)}
        return pl.DataFrame(
            {"kind": "friction", "parameter": bps, "slippage_bps": half, "fee_bps": half, "roi": list(roi), **same}
        )

    assert break_even(rows(0.3, 0.1, -0.1, -0.2)) == pytest.approx(3.0)
    assert break_even(rows(0.3, 0.1)) is None and break_even(rows(-0.1, -0.2)) == 0.0


def test_what_is_ruined_stays_so() -> None:
    assert capital_path(np.array([[2.0, -0.5, 3.0]])).tolist() == [[1.0, 2.0, 0.0, 0.0]]


@pytest.mark.parametrize(("key", "value"), [("out", "full"), ("runs", 0)])
def test_bad_input_is_one_line_before_any_work(
    home: Workspace, busy: Config, tmp_path, key: str, value: object
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    given = {key: tmp_path / str(value) if key == "out" else value}
    with pytest.raises(DolphinError, match=r"other files|at least one"):
        stress(home, "m", busy, **given)  # type: ignore[arg-type]
    assert Registry(home).trials().collect().is_empty()


def test_trades_that_overlap_add_up() -> None:
    """Two slots at once, both from 100: +10 and +10 are 120, not 121."""
    trades = np.zeros(2, TRADE)
    trades["entry_bar"], trades["exit_bar"] = (0, 1), (5, 6)
    trades["pnl"], trades["capital_before"] = 10.0, 100.0
    assert np.prod(growth_of(trades, 100.0)) == pytest.approx(1.2)
    trades["entry_bar"] = (0, 5)
    assert growth_of(trades, 100.0).tolist() == [1.1, 1.1]
