# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A sweep and its pictures
# 256 configurations on the first half of a market with a planted edge; the other half judges. All trials are
# registered: how many were looked at belongs to the result.

# %%
import dolphin as dp

dp.generate("swept", days=10, assets=8, spacing="1m")
search = {
    "short_threshold": (-0.03, -0.002),
    "tp_pct": (0.001, 0.01),
    "max_hold_bars": (10, 240),
}
config = dp.Config("vel_div", vol_gate_mode="off")
study = dp.sweep("swept", config, "2025-01-01", "2025-01-06", search=search, trials=256, min_trades=5, resume=True)
study

# %%
study.trials.head()

# %%
study.plot()

# %% [markdown]
# The best of them, on the days that chose it and on those that it has not seen.

# %%
seen = dp.backtest("swept", study.best, "2025-01-01", "2025-01-06")
unseen = dp.backtest("swept", study.best, "2025-01-06")
print("seen  ", seen)
print("unseen", unseen)

# %%
unseen.plot()
