# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # The scanner in a crash
# In November 2022 an exchange collapsed, and everything fell together. The scanner measures just that: the share of
# all movement that one common factor explains, over four windows. Here it is drawn through the collapse, with what the
# strategy did.
#
# Real klines are taken from the folder that `DOLPHIN_KLINES_2022` names, or from `shared/data/klines_5m_2022` beside
# this repository. Without them the notebook falls back to a generated market with a crash in its middle, and says so.

# %%
import os
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

import dolphin as dp

home = dp.workspace.find()
beside = Path(dp.__file__).parents[2] / "shared" / "data" / "klines_5m_2022"
source = Path(os.environ.get("DOLPHIN_KLINES_2022", beside))
if source.is_dir():
    bias = "symbols were chosen by their volume over the whole period: survivors, known afterwards"
    report = dp.import_klines(home, source, "collapse", notes=[bias])
    print(f"real data: {source.name}; {report.quality['rows']:,} rows, {report.quality['rejected']} set aside; {bias}")
else:
    dp.generate("collapse", preset="crash", days=12, assets=20, spacing="5m", seed=7)
    print(f"SYNTHETIC: no folder {source}, so this market is generated, with a crash of 30 % in its middle")
market = dp.scan("collapse")
market

# %% [markdown]
# ## Prices
# The crash is found, not named: the twelve hours in which the median symbol fell furthest. Three days before them
# and four after are drawn.

# %%
prices = market.prices()
half_day = 12 * 3600 * 10**9 // market.data.spacing_ns
logs = np.log(prices.close)
fall = np.nanmedian(logs[half_day:] - logs[:-half_day], axis=1)
bottom = int(fall.argmin()) + half_day
days = 2 * half_day
window = slice(max(0, bottom - 3 * days), min(len(prices.ts), bottom + 4 * days))
time = pl.from_epoch(pl.Series(prices.ts[window]), time_unit="ns").to_list()
first, last = time[0], time[-1]
print(
    f"{time[bottom - window.start]:%Y-%m-%d %H:%M} UTC: the median symbol is {np.expm1(fall.min()):.1%} in twelve hours"
)

# %%
relative = 100 * prices.close[window] / prices.close[window][0]
reference = market.symbols.index(market.data.reference)
low, middle, high = np.nanpercentile(relative, [10, 50, 90], axis=1)
drawn = go.Figure()
drawn.add_scatter(x=time, y=high, line_width=0, showlegend=False, hoverinfo="skip")
drawn.add_scatter(x=time, y=low, line_width=0, fill="tonexty", name="8 of 10 symbols", hoverinfo="skip")
drawn.add_scatter(x=time, y=middle, name="median symbol")
drawn.add_scatter(x=time, y=relative[:, reference], name=market.data.reference)
drawn.update_layout(title="Prices, first bar drawn = 100", height=380, hovermode="x unified")
drawn

# %% [markdown]
# ## The eigenvalues and `vel_div`
# `a_w` is the largest eigenvalue of the correlation matrix of the last `w` bars over the number of symbols: 1 would be
# one market, 1/N no common movement. A short window feels the crash at once, a long one later. `vel_div` is the
# difference of their velocities, v50 - v750; below -0.02 `vel_div` may sell, above +0.02 buy.

# %%
scanned = market.sql("select ts, vel_div, vol, a_50, a_150, a_300, a_750 from scan join detail using (ts) order by ts")
seen = scanned.filter(pl.col("ts").is_between(int(prices.ts[window][0]), int(prices.ts[window][-1])))
drawn = make_subplots(rows=3, cols=1, shared_xaxes=True, row_heights=[0.4, 0.35, 0.25], vertical_spacing=0.04)
at = pl.from_epoch(seen["ts"], time_unit="ns").to_list()
for name in ("a_50", "a_150", "a_300", "a_750"):
    drawn.add_scatter(x=at, y=seen[name], name=name, row=1, col=1)
drawn.add_scatter(x=at, y=seen["vel_div"], name="vel_div", row=2, col=1)
for threshold in (-0.02, 0.02):
    drawn.add_hline(y=threshold, line_dash="dot", line_width=1, row=2, col=1)
drawn.add_scatter(x=at, y=seen["vol"], name="vol of the reference", row=3, col=1)
drawn.update_layout(title="Absorption, divergence of velocities, volatility", height=640, hovermode="x unified")
drawn

# %% [markdown]
# How the twelve hours of the fall differ from all others. Absorption and volatility rise, and on the real
# data `vel_div` goes beyond its thresholds less often than usual, not more: where one factor already explains
# everything, its share cannot change much. The signal is of the way into a crash, not of the crash.

# %%
falling = pl.col("ts").is_between(int(prices.ts[bottom - half_day]), int(prices.ts[bottom]), closed="right")
scanned.drop_nans().group_by(falling.alias("in the fall")).agg(
    pl.col("a_50", "a_750", "vol").mean(),
    pl.col("vel_div").std().alias("vel_div, deviation"),
    (pl.col("vel_div").abs() > 0.02).mean().alias("share beyond 0.02"),
    pl.len().alias("bars"),
).sort("in the fall")

# %% [markdown]
# ## What the strategy did
# `vel_div` as published, both sides, leverage held to 2; 2 basis points of fee and of slippage on each side. It takes
# small profits and has no stop: a crash is where that shows, see the exits by reason below. (`stop_pct` and the risk
# stack of `docs/risk.md` are there for it.)

# %%
settings = {"vol_gate_mode": "off", "direction": "bidirectional", "soft_cap": 2.0, "abs_cap": 2.0}
run = dp.backtest("collapse", dp.Config("vel_div", **settings), out=home.root / "runs" / "collapse", force=True)
run

# %%
inside = pl.col("time").is_between(first, last)
equity = run.equity.with_columns(pl.col("time").dt.replace_time_zone(None)).filter(inside)
trades = run.trades.with_columns(
    pl.Series("opened", prices.ts[run.trades["entry_bar"]]).cast(pl.Datetime("ns")),
    pl.Series("closed", prices.ts[run.trades["exit_bar"]]).cast(pl.Datetime("ns")),
).filter(pl.col("opened").is_between(first, last))
drawn = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.05)
drawn.add_scatter(x=time, y=middle, name="median symbol", row=1, col=1)
level = dict(zip(time, middle, strict=True))
for side, name, sign in (("SHORT", "sold", "triangle-down"), ("LONG", "bought", "triangle-up")):
    part = trades.filter(pl.col("side") == side)
    x = part["opened"].to_list()
    drawn.add_scatter(
        x=x, y=[level[t] for t in x], mode="markers", name=name, marker={"symbol": sign, "size": 10},
        text=part["asset"], hovertemplate="%{text}<br>%{x}<extra></extra>", row=1, col=1,
    )  # fmt: skip
drawn.add_scatter(x=equity["time"].to_list(), y=equity["equity"], name="equity", row=2, col=1)
drawn.update_layout(title="Entries on the median symbol, and the equity", height=520)
drawn

# %%
trades.select("opened", "asset", "side", "leverage", "entry_price", "exit_price", "pnl", "exit_reason", "bars_held")

# %%
print(
    f"{trades.height} of its {run.trades.height} trades are in these days; together they made "
    f"{trades['pnl'].sum():+,.0f} USDT, all of them {run.trades['pnl'].sum():+,.0f}"
)
print(trades.group_by("exit_reason").agg(pl.len(), pl.col("pnl").sum()).sort("exit_reason"))

# %% [markdown]
# Why did it enter where it first did in these days? Each condition of its own source, with value, limit and outcome:
# `dolphin why runs/collapse --bar TIME`. Here in a sentence:

# %%
if trades.height:
    print(dp.why("runs/collapse", int(trades["entry_bar"][0]))["sentence"])
