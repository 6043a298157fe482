# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A paper session, and its proof
# The same step in a Nautilus node, fed bar by bar with recorded data. Every row is in a journal before it is decided
# on; a kill at any moment loses nothing. (A frozen champion needs no `--config`; a session without one is marked
# UNFROZEN.)

# %%
import subprocess
import sys
from pathlib import Path

import dolphin as dp

dp.generate("recorded", days=6, assets=6, spacing="5m")
Path("paper.toml").write_text('[params]\nvol_gate_mode = "off"\nshort_threshold = -0.004\n')


def dolphin(*words: str) -> str:
    """A command, as in a terminal."""
    done = subprocess.run([sys.executable, "-m", "dolphin", *words], text=True, capture_output=True, check=False)
    return done.stdout + done.stderr


days = ["--from", "2025-01-05", "--speed", "0", "--state", "runs/paper"]
print(dolphin("trade", "paper", "--feed", "replay:recorded", "--config", "paper.toml", *days))

# %%
print(dolphin("status", "--state", "runs/paper"))

# %% [markdown]
# Did it decide what research decides from the same data? This is the proof of every night.

# %%
print(dolphin("parity", "runs/paper", "--against", "research"))

# %% [markdown]
# And the same days as a backtest:

# %%
dp.backtest("recorded", "paper.toml", "2025-01-05")
