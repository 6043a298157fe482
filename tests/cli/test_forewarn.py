"""``dolphin forewarn``: from a study to forecasts that a risk table reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import CONFIG, dolphin

STUDY = """\
dataset = "m"
trials = 6
sampler = "sobol"
config = "config.toml"
[search]
soft_cap = { low = 1.0, high = 6.0 }
tp_pct = { low = 0.001, high = 0.01 }
"""


@pytest.mark.slow
def test_from_study_to_risk_table(home: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "caps.toml").write_text(STUDY)
    model = tmp_path / "f.json"
    assert dolphin(home, "sweep", tmp_path / "caps.toml").code == 0
    train = ("forewarn", "train", "m", "--study", "caps", "--days", "0.1", "--loss", "0.005", "--every", "15m")
    made = dolphin(home, *train, "--out", model, "--html", tmp_path / "f.html", "--json")
    assert made.code == 0, made.err
    assert {"skill", "market_skill", "reliability", "importance"} <= made.json["validation"].keys()
    drawn = (tmp_path / "f.html").read_text()
    assert (
        drawn.count("<circle") == len(made.json["validation"]["reliability"]) and "Brier score of climatology" in drawn
    )
    assert ("No skill" in drawn) == (not made.json["validation"]["has_skill"])
    assert dolphin(home, *train, "--out", tmp_path / "again.json").code == 0
    assert (tmp_path / "again.json").read_bytes() == model.read_bytes()
    said = dolphin(home, "forewarn", "status", model, "m", "--config", tmp_path / "config.toml",
                   "--set", "vol_p60=0.0", "--out", "fc", "--json")  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["status"] in ("GREEN", "ORANGE", "RED") and 0.0 <= said.json["catastrophic_prob"] <= 1.0
    assert dolphin(home, "risk", "build", "m", "--forecasts", "fc", "--out", "r").code == 0
    judged = dolphin(home, "forewarn", "evaluate", model, "m", "--study", "caps")
    assert judged.code == 2 and "time that it was trained on" in judged.complaint


def test_one_line(home: Path, tmp_path: Path) -> None:
    model = tmp_path / "f.json"
    assert "no study 'nothing'" in dolphin(
        home, "forewarn", "train", "m", "--study", "nothing", "--out", model
    ).complaint  # fmt: skip
    missing = dolphin(home, "forewarn", "status", model, "m", "--config", home / "config.toml")
    assert "no such forewarner" in missing.complaint and missing.code == 2
    model.write_text(json.dumps({"schema": 1, "hash": "0"}))
    assert "damaged" in dolphin(home, "forewarn", "status", model, "m", "--config", home / "config.toml").complaint
