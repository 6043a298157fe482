"""``dolphin risk``, and ``[risk]`` in the verbs that run."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import CONFIG, Answer, dolphin

from dolphin.study.trials.trials import trials_of
from dolphin.workspace import Workspace


@pytest.fixture
def say(home: Path, tmp_path: Path):
    """Run the command in the small workspace, with files beside."""
    external = tmp_path / "external"
    external.mkdir()
    days = [f"2024-12-{day}" for day in range(20, 32)] + [f"2025-01-0{day}" for day in range(1, 7)]
    (external / "fred_VIXCLS.csv").write_text("date,value\n" + "".join(f"{day},36.0\n" for day in days))
    (external / "fear_greed_index.csv").write_text("date,value\n" + "".join(f"{day},20\n" for day in days))
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "risk.toml").write_text(CONFIG + '[risk]\ntable = "r"\n')
    (tmp_path / "rules.toml").write_text('required = ["fng"]\n')

    def run(*arguments: object) -> Answer:
        return dolphin(home, *arguments)

    assert run("data", "import", external, "--name", "e").code == 0
    return run


def test_build_show_and_run(say, tmp_path: Path) -> None:
    made = say("risk", "build", "m", "--external", "e", "--rules", tmp_path / "rules.toml", "--out", "r", "--json")
    assert made.code == 0, made.err
    assert made.json["summary"]["breaker"]["ready"] == 1.0 and not made.json["unchanged"]
    shown = say("risk", "show", "r", "--json").json
    assert shown["digest"] == made.json["digest"]
    assert "circuit breaker" in say("risk", "show", "r").out
    done = say("backtest", "m", "--config", tmp_path / "risk.toml", "--out", tmp_path / "a", "--json")
    assert done.code == 0, done.err
    assert done.json["run"]["risk"]["digest"] == shown["digest"]
    part = say(
        "backtest", "m", "--config", tmp_path / "risk.toml", "--out", tmp_path / "b", "--from", "2025-01-02",
        "--set", "risk.mode=observe", "--json",
    )  # fmt: skip
    plain = say("backtest", "m", "--config", tmp_path / "config.toml", "--out", tmp_path / "c", "--from", "2025-01-02",
                "--json")  # fmt: skip
    assert part.json["metrics"]["final_equity"] == plain.json["metrics"]["final_equity"]
    assert say("report", tmp_path / "a", "--out", tmp_path / "a.html").code == 0
    lineage = say("data", "lineage", tmp_path / "a", "--json")
    assert lineage.code == 0 and "risk inputs" in lineage.out and "fear_greed_index.csv" in lineage.out
    climbed = say("ladder", "m", "--config", tmp_path / "risk.toml", "--rungs", "0", "--json")
    assert climbed.code == 0, climbed.err


def test_mode_is_searched(say, home: Path, tmp_path: Path) -> None:
    assert say("risk", "build", "m", "--external", "e", "--rules", tmp_path / "rules.toml", "--out", "r").code == 0
    study = tmp_path / "modes.toml"
    study.write_text(
        'dataset = "m"\nconfig = "risk.toml"\nsampler = "grid"\ntrials = 6\n[search]\n'
        '"risk.mode" = { choices = ["apply", "observe", "neutral"] }\n'
        "tp_pct = { choices = [0.002, 0.004] }\n"
    )
    done = say("sweep", study, "--json")
    assert done.code == 0, done.err
    rows = trials_of(Workspace(home), "modes")
    roi = {(row["mode"], row["tp_pct"]): row["roi"] for row in rows.iter_rows(named=True)}
    assert len(roi) == rows["config_hash"].n_unique() == 6
    assert all(roi["observe", tp] == roi["neutral", tp] != roi["apply", tp] for tp in (0.002, 0.004))


def test_thresholds_are_searched(say, home: Path, tmp_path: Path) -> None:
    tables = {"r10": [10.0], "r40": [40.0, 25.0]}
    for name, levels in tables.items():
        rules = f'required = ["fng"]\n[stress.fng]\nside = "below"\nlevels = {levels}\n'
        (tmp_path / "rules.toml").write_text(rules)
        made = say("risk", "build", "m", "--external", "e", "--rules", tmp_path / "rules.toml", "--out", name)
        assert made.code == 0, made.err
    (tmp_path / "risk.toml").write_text(CONFIG + '[risk]\ntable = "r10"\n')
    study = tmp_path / "levels.toml"
    study.write_text(
        'dataset = "m"\nconfig = "risk.toml"\nsampler = "grid"\ntrials = 8\n[search]\n'
        '"risk.table" = { choices = ["r10", "r40"] }\n"risk.mode" = { choices = ["apply", "observe"] }\n'
        '"risk.account" = { choices = [true, false] }\n'
    )
    done = say("sweep", study, "--json")
    assert done.code == 0, done.err
    rows = trials_of(Workspace(home), "levels")
    roi = {(row["table"], row["mode"], row["account"]): row["roi"] for row in rows.iter_rows(named=True)}
    assert len(roi) == rows["config_hash"].n_unique() == 8
    assert len({roi[table, "observe", account] for table in tables for account in (True, False)}) == 1
    assert roi["r10", "apply", False] != roi["r40", "apply", False]  # its boost lends leverage


def test_one_line(say, tmp_path: Path) -> None:
    assert "no dataset 'nothing'" in say("risk", "build", "m", "--external", "nothing", "--out", "r").complaint
    assert "holds series" in say("risk", "show", "e").complaint
    (tmp_path / "rules.toml").write_text("requierd = []\n")
    wrong = say("risk", "build", "m", "--rules", tmp_path / "rules.toml", "--out", "r")
    assert "unknown key 'requierd'" in wrong.complaint and wrong.code == 2
    missing = say("backtest", "m", "--config", tmp_path / "risk.toml", "--out", tmp_path / "a")
    assert "no dataset 'r'" in missing.complaint and missing.code == 2 and not (tmp_path / "a").exists()
