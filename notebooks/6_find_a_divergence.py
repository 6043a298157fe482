# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Find a divergence
# Every bar of a run is folded into a digest: data, features, risk, intent, fill, state. Two runs that should be the
# same are compared by one number a bar.

# %%
import dolphin as dp

dp.generate("twice", days=6, assets=6, spacing="5m")
config = dp.Config("vel_div", vol_gate_mode="off", short_threshold=-0.004)
first = dp.backtest("twice", config, out="runs/first", force=True)
again = dp.backtest("twice", config, out="runs/again", force=True)
print(dp.parity(first, again).sentence)

# %% [markdown]
# Now something differs: the take-profit, by a hair. Which bar is the first where that matters, at which stage, and does
# all that follows come from it?

# %%
changed = dp.Config("vel_div", vol_gate_mode="off", short_threshold=-0.004, tp_pct=0.0049)
other = dp.backtest("twice", changed, out="runs/other", force=True)
found = dp.parity(first, other)
print(found.sentence)

# %% [markdown]
# Why was that bar decided as it was? Each condition of the strategy's own source, with its value, its limit and its
# outcome.

# %%
for field in found.fields:
    if not field.equal:
        print(field.stage, field.name, field.left, field.right)
print(dp.why("runs/first", found.row)["sentence"])  # dolphin why runs/first --bar T shows each condition
