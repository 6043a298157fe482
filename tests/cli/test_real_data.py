"""The README's path on real data, through the command: it ends in a refusal, and says why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import dolphin

REPOSITORY = Path(__file__).resolve().parents[2]
BIAS = "symbols chosen by full-period volume: survivorship and look-ahead bias"

#: folder of the data -> (study, first unseen day, floors that must be named in the refusal)
PATHS = {
    "klines_5m_2025": ("real_5m_2025", "2025-02-25", ("profit factor, 10 days", "max drawdown, 55 days")),
    # 43 days: the 55-day floors cannot be judged, and that is a reason to refuse.
    "klines_1m_2021": ("real_1m_2021", "2021-04-23", ("needs 55 days of bars",)),
}
NAMES = {"klines_5m_2025": "k5m_2025", "klines_1m_2021": "k1m_2021"}


@pytest.mark.slow
@pytest.mark.parametrize("folder", PATHS)
def test_from_real_prices_to_an_honest_refusal(shared_data: Path, tmp_path: Path, folder: str) -> None:
    study, unseen, reasons = PATHS[folder]
    name, home = NAMES[folder], tmp_path / "home"
    home.mkdir()
    made = dolphin(home, "data", "import", shared_data / folder, "--name", name, "--note", BIAS, "--json")
    assert made.code == 0 and made.json["quality"]["rejected"] == 0
    assert dolphin(home, "scan", name).code == 0
    swept = dolphin(home, "sweep", REPOSITORY / "experiments" / f"{study}.toml", "--json")
    assert swept.code == 0 and swept.json["ran"] == 2048 and swept.json["best"]
    best = home / "experiments" / study / "best.toml"
    ran = dolphin(home, "backtest", name, "--config", best, "--from", unseen, "--out", home / "run", "--json")
    assert ran.code == 0 and ran.json["metrics"]["trades"] > 5
    assert dolphin(home, "report", home / "run", "--out", home / "run.html").code == 0
    page = (home / "run.html").read_text()
    assert BIAS in page and "SYNTHETIC" not in page[page.index("<body>") :]
    climbed = dolphin(home, "ladder", name, "--config", best, "--from", unseen, "--json")
    assert climbed.code == 0 and all(rung["passed"] for rung in climbed.json["rungs"])
    for kind in ("lookahead", "warmup", "append-only"):
        checked = dolphin(home, "check", kind, name, "--config", best, "--from", unseen, "--json")
        assert checked.code == 0 and checked.json["passed"], checked
    refused = dolphin(home, "promote", "blue", home / "run", "--reason", "real data", "--json")
    assert refused.code == 1
    for reason in reasons:
        assert any(reason in line for line in refused.json["refusals"]), refused.json
    assert not (home / "promote" / "blue.json").exists()


@pytest.mark.slow
def test_a_strategy_of_ones_own_goes_the_whole_way(shared_data: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert dolphin(home, "init", home).code == 0
    shutil.copy(REPOSITORY / "research" / "pullback.py", home / "research")
    config = home / "own.toml"
    config.write_text('strategy = "pullback:PULLBACK"\n[params]\nleast_breadth = 60\n')
    assert dolphin(home, "data", "import", shared_data / "klines_5m_2022", "--name", "k").code == 0
    ran = dolphin(home, "backtest", "k", "--config", config, "--out", home / "run", "--json")
    assert ran.code == 0 and ran.json["metrics"]["trades"] > 100
    climbed = dolphin(home, "ladder", "k", "--config", config, "--json")
    assert climbed.code == 0 and climbed.json["passed"]
    for kind in ("lookahead", "warmup"):
        assert dolphin(home, "check", kind, "k", "--config", config).code == 0
    assert dolphin(home, "gate", home / "run").code == 1
