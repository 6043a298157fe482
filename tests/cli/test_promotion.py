"""A champion's life through the command: promoted, verified, damaged, rolled back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import dolphin, tree

from dolphin.gate.floors import DEFAULT
from dolphin.gate.policy import DEFAULT as POLICY

CONFIG = '[params]\nvol_gate_mode = "off"\nsoft_cap = 2.0\nshort_threshold = -0.01\n'


def small_floors() -> str:
    """The package's floors on windows that six days have, with limits that anything meets."""
    text = DEFAULT.read_text().replace("days = 55", "days = 5").replace("days = 10", "days = 2")
    for old, new in {
        "limit = 1.08": "limit = 0.1",
        "limit = 0.42": "limit = 0.1",
        "limit = -0.05": "limit = -0.5",
        "limit = 1.5": "limit = -100.0",
        "limit = 0.35": "limit = -0.5",
        "limit = 2.0": "limit = -100.0",
    }.items():
        assert old in text
        text = text.replace(old, new)
    return text


def mild_policy() -> str:
    """A policy that anything meets."""
    return POLICY.read_text().replace("total = 0.05", "total = 1.0").replace("guard = 0.30", "guard = 1.0")


@pytest.mark.slow
def test_a_champions_life(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert dolphin(home, "init", home).code == 0
    (home / "promote" / "floors.toml").write_text(small_floors())
    (home / "promote" / "policy.toml").write_text(mild_policy())
    (home / "a.toml").write_text(CONFIG)
    (home / "b.toml").write_text(CONFIG + "max_hold_bars = 120\n")
    market = "data generate --name edge --preset edge --days 6 --assets 6 --spacing 1m --seed 3"
    assert dolphin(home, *market.split()).code == 0

    gate = dolphin(home, "gate", home / "a.toml", "--data", "edge", "--json")
    assert (gate.code, gate.json["verdict"]) == (0, "PASS"), gate.out
    champions = []
    for name in "ab":
        done = dolphin(
            *(home, "promote", "blue", home / f"{name}.toml", "--data", "edge", "--reason", f"try {name}", "--json"),
            "--weaker-policy",
        )
        assert done.code == 0 and done.json["promoted"] is True, done.out + done.err
        assert re.fullmatch("[0-9a-f]{64}", done.json["champion"])
        champions.append(done.json["champion"])
        assert Path(done.json["folder"]).is_dir()
    assert len(set(champions)) == 2
    shown = dolphin(home, "promote", "show", "--json")
    assert shown.code == 0 and [line["reason"] for line in shown.json["audit"]][-2:] == ["try a", "try b"]
    verified = dolphin(home, "promote", "verify", "--json")
    assert (verified.code, verified.json["ok"], verified.json["champions"]) == (0, True, 2)

    back = dolphin(home, "promote", "rollback", "--reason", "b was worse", "--json")
    assert (back.code, back.json["champion"]) == (0, champions[0])
    before = tree(home / "promote")
    assert dolphin(home, "promote", "rollback", "--reason", "").code == 2
    assert tree(home / "promote") == before

    folder = Path(back.json["folder"])
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        damaged = dolphin(home, "promote", "verify", "--json")
        assert damaged.code == 1 and damaged.json["ok"] is False, path
        assert any(path.name in problem for problem in damaged.json["problems"]), path
        path.write_bytes(data)
    assert dolphin(home, "promote", "verify").code == 0
