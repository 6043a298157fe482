# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Bring your own data
# A DataFrame or a file, as it is: columns are told by their names, times by how they are written. Here a frame is made
# up; `yfinance.download(["AAPL", "MSFT"])` or `pandas.read_csv(...)` would do.

# %%
import numpy as np
import pandas as pd

import dolphin as dp

rng = np.random.default_rng(5)
days = pd.bdate_range("2023-01-02", periods=400, name="Date")
close = 100 * np.exp(np.cumsum(rng.normal(0.0004, 0.01, (400, 2)), axis=0)).round(4)
frame = pd.concat(
    {
        ticker: pd.DataFrame(
            {"Open": c, "High": c * 1.01, "Low": c * 0.99, "Close": c, "Volume": rng.integers(1_000, 9_000, 400)}, days
        )
        for ticker, c in zip(("GOLD", "BRK-B"), close.T, strict=True)
    },
    axis=1,
).swaplevel(axis=1)
frame.head(3)

# %%
report = dp.import_frame(frame, name="mine", calendar="NYSE")
print(*report.advice, sep="\n")
report.dataset.symbols, report.quality["rows"], report.quality["rejected"]

# %% [markdown]
# The rows that were set aside are kept, with the rule that they broke.

# %%
mine = dp.open("mine")
mine.rejected.group_by("rule").len().collect()

# %%
mine.bars.group_by("symbol").len().collect()

# %% [markdown]
# The same from files: `dolphin data import FOLDER --name mine --dry-run` shows what would be read. In Python:

# %%
from dolphin.catalog.ingest.preview import preview

home = dp.workspace.find()
file = home.root / "BTC-USD.csv"
frame.xs("GOLD", axis=1, level=1).to_csv(file)
for one in preview(file):
    print(one.symbols, one.rows, one.spacing, one.first, one.last, dict(one.facts))

# %% [markdown]
# And then it is a dataset like any other.

# %%
from dolphin.starters import start

if not (home.research / "crossing.py").exists():
    start(home, "strategy", "crossing")
dp.backtest("mine", dp.Config("crossing:STRATEGY", fast=10, slow=50)).plot()
