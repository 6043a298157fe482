# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Quick start
# A market, a run, and the same run with another fee: what differs, and where. Everything here is generated; bring your
# own data in notebook 8.

# %%
import dolphin as dp

home = dp.workspace.find()
market = dp.generate("notebook", days=5, assets=8, spacing="1m")
market

# %% [markdown]
# `dir(dp)` is short on purpose. Names of datasets, dates and files are text everywhere.

# %%
dir(dp)

# %%
config = dp.Config("vel_div", direction="bidirectional", short_threshold=-0.01, long_threshold=0.01)
run = dp.backtest("notebook", config, start="2025-01-02", out=home.root / "runs" / "first", force=True)
run

# %%
run.plot()

# %%
run.trades.select("date", "asset", "side", "entry_price", "exit_price", "pnl", "exit_reason").head()

# %% [markdown]
# The same with a fee of 3 basis points. `parity` names the first bar and stage at which the two part.

# %%
dearer = dp.Config("vel_div", direction="bidirectional", short_threshold=-0.01, long_threshold=0.01, fee_bps=3)
other = dp.backtest("notebook", dearer, start="2025-01-02", out=home.root / "runs" / "second", force=True)
print(dp.parity(run, other).sentence)

# %% [markdown]
# A tear sheet is one HTML file without network.

# %%
run.report(home.root / "first.html")
