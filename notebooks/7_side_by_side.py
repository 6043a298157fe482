# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # vectorbt, Optuna and skfolio side by side with dolphin
# What you know keeps working. A run is a vectorbt portfolio, an Optuna study can drive runs and a dolphin study is an
# Optuna study, and daily returns go into skfolio as they are. (vectorbt comes with `dolphin-quant[vectorbt]`, Optuna
# with dolphin itself, skfolio by `pip install skfolio`.)

# %%
import warnings

warnings.simplefilter("ignore")  # vectorbt and its pandas warn about each other's versions

import numpy as np
import optuna
import pandas as pd
import plotly.graph_objects as go
import vectorbt as vbt

import dolphin as dp

dp.generate("beside", days=60, assets=8, spacing="5m", seed=3)
base = {"vol_gate_mode": "off", "soft_cap": 1.0, "abs_cap": 1.0, "short_threshold": -0.01}
run = dp.backtest("beside", dp.Config("vel_div", **base))
run

# %% [markdown]
# ## vectorbt
# `run.vbt` is a `vectorbt.Portfolio` of the same orders, with all of its statistics and pictures. vectorbt derives
# cash, positions, fees and value itself.

# %%
portfolio = run.vbt
print(portfolio.stats()[["Total Return [%]", "Max Drawdown [%]", "Total Trades", "Win Rate [%]", "Profit Factor"]])
off = np.abs(portfolio.value().to_numpy() / run.equity["equity"].to_numpy() - 1.0).max()
print(f"value of {run.equity.height:,} bars: at most {off:.1e} of it differs from dolphin's equity")

# %% [markdown]
# The same again through vectorbt's own simulation: sizes and prices in, `Portfolio.from_orders` fills and books them.

# %%
orders = portfolio.orders.records
close = portfolio.close
size = np.full(close.shape, np.nan)
price = np.full(close.shape, np.nan)
at = (orders["idx"], orders["col"])
size[at] = np.where(orders["side"] == 0, 1.0, -1.0) * orders["size"]
price[at] = orders["price"]
own = vbt.Portfolio.from_orders(
    close, size, price=price, fees=run.config.friction.fee_bps / 1e4, init_cash=25_000.0,
    group_by=True, cash_sharing=True,
)  # fmt: skip
print(f"orders: {len(own.orders.records):,} filled of {len(orders):,} sent")
off = np.abs(own.value().to_numpy() / run.equity["equity"].to_numpy() - 1.0).max()
print(f"simulated by vectorbt: at most {off:.1e} of the value differs")

# %%
drawn = go.Figure()
drawn.add_scatter(x=close.index[::12], y=run.equity["equity"].to_numpy()[::12], name="dolphin", line_width=4)
drawn.add_scatter(x=close.index[::12], y=own.value().to_numpy()[::12], name="vectorbt", line_dash="dot")
drawn.update_layout(title="The same run, twice", height=360)
drawn

# %% [markdown]
# ## Optuna
# An Optuna study with its own sampler drives runs: the objective is a backtest of the first 40 days. Every run is
# registered, because how many were looked at belongs to the result.

# %%
optuna.logging.set_verbosity(optuna.logging.WARNING)


def objective(trial: optuna.Trial) -> float:
    config = dp.Config(
        "vel_div",
        **base
        | {
            "short_threshold": trial.suggest_float("short_threshold", -0.04, -0.004),
            "tp_pct": trial.suggest_float("tp_pct", 0.002, 0.02),
            "max_hold_bars": trial.suggest_int("max_hold_bars", 10, 120),
        },
    )
    done = dp.backtest("beside", config, stop="2025-02-10")
    trial.set_user_attr("trades", done.metrics["trades"])
    return done.metrics["sharpe_365"] if done.metrics["trades"] >= 10 else -10.0


driven = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=1))
driven.optimize(objective, n_trials=30)
print(f"best of {len(driven.trials)}: {driven.best_value:.2f} with {driven.best_params}")

# %%
best = dp.Config("vel_div", **base | driven.best_params)
print("unseen", dp.backtest("beside", best, "2025-02-10"))

# %% [markdown]
# The other way round: a dolphin study runs thousands of configurations in one compiled sweep and is an Optuna study of
# the same name, for `optuna-dashboard` and Optuna's own pictures.

# %%
search = {"short_threshold": (-0.04, -0.004), "tp_pct": (0.002, 0.02), "max_hold_bars": (10, 120)}
config = dp.Config("vel_div", **base)
study = dp.sweep(
    "beside", config, None, "2025-02-10", search=search, trials=512, min_trades=10, name="swept", resume=True
)
study

# %%
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

journal = dp.workspace.find().root / "experiments" / "swept" / "optuna.journal"
known = optuna.load_study(study_name="swept", storage=JournalStorage(JournalFileBackend(str(journal))))
print(f"{len(known.trials)} trials, best {known.best_value:.2f}")
optuna.visualization.plot_slice(known)

# %% [markdown]
# ## skfolio
# Six configurations as six assets: their daily returns on all 60 days. skfolio allocates between them, judged by its
# combinatorial purged cross-validation: 15 ways to hold two blocks of ten days out, stitched to 5 whole paths.

# %%
from skfolio.model_selection import CombinatorialPurgedCV, cross_val_predict
from skfolio.optimization import EqualWeighted, HierarchicalRiskParity, InverseVolatility

daily = {}
for threshold in (-0.02, -0.01, -0.005):
    for hold in (20, 100):
        config = dp.Config("vel_div", **base | {"short_threshold": threshold, "max_hold_bars": hold})
        equity = dp.backtest("beside", config).to_pandas()["equity"]
        # A bar that closes at midnight belongs to the day that it ends.
        ends = equity.resample("1D", closed="right", label="left").last()
        daily[f"below {threshold}, {hold} bars"] = ends.pct_change().dropna()
returns = pd.DataFrame(daily)
returns.index = returns.index.tz_localize(None)
returns.describe().T[["mean", "std", "min", "max"]]

# %%
folds = CombinatorialPurgedCV(n_folds=6, n_test_folds=2, purged_size=1, embargo_size=1)
summary = {}
for model in (EqualWeighted(), InverseVolatility(), HierarchicalRiskParity()):
    paths = cross_val_predict(model, returns, cv=folds)
    ratios = [path.annualized_sharpe_ratio for path in paths]
    summary[type(model).__name__] = {"paths": len(ratios), "lowest": min(ratios), "highest": max(ratios)}
pd.DataFrame(summary).T.round(2)

# %%
allocated = HierarchicalRiskParity().fit(returns)
weights = pd.Series(allocated.weights_, returns.columns, name="weight")
go.Figure(go.Bar(x=weights.index, y=weights)).update_layout(title="Hierarchical risk parity", height=340)

# %% [markdown]
# dolphin has the same folds for a search: `[validation] scheme = "combinatorial"` in a study file
# (`docs/validation.md`), and tests hold its splits against skfolio's.
