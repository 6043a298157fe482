"""The explorer's windows, trades and decisions are those of the run."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from dolphin.catalog import open_dataset
from dolphin.errors import BadInput
from dolphin.parity.why import why
from dolphin.ui.explorer import LISTED, MARKED, Explorer, Opened


@pytest.fixture(scope="module")
def run(furnished) -> Opened:
    return Explorer(furnished).run("deep/busy")


@pytest.fixture(scope="module")
def trades(furnished) -> pl.DataFrame:
    return pl.read_parquet(furnished.root / "runs" / "deep" / "busy" / "trades.parquet")


def test_a_run_tells_what_it_is(run: Opened, trades: pl.DataFrame, furnished) -> None:
    about = run.about()
    data = open_dataset(furnished, "m")
    assert (about["first"], about["last"]) == (int(data.n_bars - run.side.bars), data.n_bars - 1)
    assert about["trades"] == trades.height > 50
    assert dict(about["assets"]).keys() == set(data.symbols)
    counts = [count for _, count in about["assets"]]
    assert counts == sorted(counts, reverse=True) and sum(counts) == trades.height
    assert [feature["name"] for feature in about["features"]] == ["vel_div", "vol"]


def test_a_window_holds_every_extreme_and_no_more_points_than_asked(run: Opened, furnished) -> None:
    prices = open_dataset(furnished, "m").prices().close
    asset = run.assets[0][0]
    column = run.symbols.index(asset)
    whole = run.window(asset, 0, 10**9, points=100)
    assert (whole["low"], whole["high"]) == (run.first, run.last)
    rows, values = whole["price"]["row"], np.array(whole["price"]["value"])
    part = prices[run.first : run.last + 1, column]
    assert len(rows) <= 100 and rows == sorted(set(rows)) and rows[0] == run.first and rows[-1] == run.last
    np.testing.assert_allclose(values, prices[rows, column], rtol=1e-8)
    np.testing.assert_allclose([values.min(), values.max()], [part.min(), part.max()], rtol=1e-8)
    near = run.window(asset, run.first + 100, run.first + 150)
    assert near["price"]["row"] == list(range(run.first + 100, run.first + 151)) and len(near["times"]) == 51
    assert near["times"][1] - near["times"][0] == 60_000
    assert len(near["features"]) == 2 and all(len(one["row"]) == 51 for one in near["features"])
    with pytest.raises(BadInput, match="the run has"):
        run.window(asset, run.last + 5, run.last + 9)


def test_trades_of_a_window_are_those_that_touch_it(run: Opened, trades: pl.DataFrame) -> None:
    asset = run.assets[0][0]
    low, high = run.first + 300, run.first + 700
    wanted = trades.filter(pl.col("asset") == asset, pl.col("entry_bar") <= high, pl.col("exit_bar") >= low)
    found = run.window(asset, low, high)
    assert found["trades_there"] == len(found["trades"]) == wanted.height <= MARKED
    assert {(one["entry_bar"], one["exit_bar"]) for one in found["trades"]} == set(
        wanted.select("entry_bar", "exit_bar").iter_rows()
    )


def test_trades_are_listed_by_page_and_order(run: Opened, trades: pl.DataFrame) -> None:
    best = run.listed(0, "pnl", down=True)
    assert best["in_all"] == trades.height and len(best["trades"]) == min(LISTED, trades.height)
    assert best["trades"][0]["pnl"] == trades["pnl"].max()
    reason = trades["exit_reason"].mode().sort()[0]
    some = run.listed(0, "entry_bar", down=False, reason=reason)
    assert some["in_all"] == trades.filter(pl.col("exit_reason") == reason).height
    assert run.listed(10**6, "entry_bar", down=False)["trades"] == []
    with pytest.raises(BadInput, match="pnl_pct"):
        run.listed(0, "pnl_pc", down=False)


def test_next_and_last_go_over_every_entry_and_exit_once(run: Opened, trades: pl.DataFrame) -> None:
    events = sorted({*trades["entry_bar"], *trades["exit_bar"]})
    seen, at = [], run.first - 1
    while (found := run.next_event(at, 1))["bar"] is not None:
        at = found["bar"]
        seen.append(at)
    assert seen == events
    back, at = [], run.last + 1
    while (found := run.next_event(at, -1))["bar"] is not None:
        at = found["bar"]
        back.append(at)
    assert back == events[::-1]


def test_a_decision_is_what_dolphin_why_says(run: Opened, trades: pl.DataFrame, furnished) -> None:
    row = int(trades["entry_bar"][3])
    html = run.why(row)
    told = why(furnished.root / "runs" / "deep" / "busy", row, workspace=furnished)
    assert told["reproduced"] and told["agrees"]
    assert told["sentence"].replace("'", "&#x27;") in html and told["wishes"]
    assert html.count('class="sign yes"') + html.count('class="sign no"') > 4 and "vel_div.py" in html
    assert run.why(row) is html  # remembered
    at = run.at(str(trades["asset"][3]), row)
    assert abs(at["price"] / trades["entry_price"][3] - 1.0) < 1e-3 and at["held"]  # but for slippage
    assert at["time"] == told["time"]
    with pytest.raises(BadInput, match="no bar"):
        run.why(run.last + 1)


def test_a_run_written_anew_is_opened_anew(home) -> None:
    explorer = Explorer(home)
    first = explorer.run("slow")
    assert explorer.run("slow") is first
    manifest = home.root / "runs" / "slow" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes())
    assert explorer.run("slow") is not first
