# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Overfitting, and what the gate says
# A market without any edge: prices and signals know nothing of each other. The best of 512 configurations looks good on
# the days that chose it all the same. That is what luck looks like.

# %%
import dolphin as dp

dp.generate("nothing", preset="null", days=24, assets=8, spacing="5m", seed=4)
search = {
    "short_threshold": (-0.03, -0.002),
    "tp_pct": (0.001, 0.02),
    "max_hold_bars": (5, 60),
}
config = dp.Config("vel_div", vol_gate_mode="off")
study = dp.sweep("nothing", config, "2025-01-01", "2025-01-13", search=search, trials=512, min_trades=5, resume=True)
study.plot()

# %%
seen = dp.backtest("nothing", study.best, "2025-01-01", "2025-01-13")
unseen = dp.backtest("nothing", study.best, "2025-01-13", out="runs/unseen", force=True)
print("seen  ", seen)
print("unseen", unseen)

# %% [markdown]
# The gate runs the whole search again on signals that are shifted against the prices, and the candidate among its own
# shifts on days that nobody has looked at. (A market this short breaches the floors anyway.)

# %%
verdict = dp.gate(unseen)
print(verdict.verdict)
for reason in verdict.reasons:
    print("-", reason)

# %% [markdown]
# How often the gate itself is wrong is measured in the same way, on a thousand markets: `dolphin gate calibrate`.
