# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Your own strategy, up the ladder
# A strategy is one compiled function in a module of `research/`, so that every process finds the same one.
# `dolphin new strategy crossing` writes this file; here the same from Python.

# %%
import dolphin as dp
from dolphin.starters import start

home = dp.workspace.find()
if not (home.research / "crossing.py").exists():
    print(*start(home, "strategy", "crossing").files)
dp.generate("own", days=3, assets=4, spacing="5m")
print((home.research / "crossing.py").read_text())

# %%
run = dp.backtest("own", "crossing:STRATEGY")
run

# %%
run.plot()

# %% [markdown]
# Does every way of running it decide the same? The core three ways, then plain Python with books written from the
# documentation alone. (`rungs=(0, "R", 1, 2)` adds vectorbt and Nautilus.)

# %%
for rung in dp.ladder("own", "crossing:STRATEGY", rungs=(0, "R")).results:
    print(rung.rung, "equal" if rung.passed else "DIFFERS", rung.detail)

# %% [markdown]
# Every rule of strategies: bounds, purity, look-ahead, warm-up, orders, snapshots ...

# %%
from dolphin.parity.own_strategy import check_strategy

print(check_strategy(home, dp.Config("crossing:STRATEGY")))
