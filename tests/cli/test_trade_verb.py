"""The verbs of a session, as a user calls them."""

from __future__ import annotations

from command_line import CONFIG


def test_a_session_from_the_first_bar_to_the_proof(call, home):
    (home / "c.toml").write_text(CONFIG.replace('"p60"', "0.0001"))
    (home / "s.toml").write_text('fsync = "bar"\n[limits]\nleverage = 50.0\n')
    paper = (
        "trade", "paper", "--config", home / "c.toml", "--feed", "replay:m", "--speed", "0",
        "--from", "2025-01-02T23:30:00Z", "--to", "2025-01-03T00:30:00Z", "--session", home / "s.toml",
    )  # fmt: skip
    done = call(home, *paper, "--json")
    assert done.code == 0 and done.json["bars"] == 60 and not done.json["frozen"]
    assert "UNFROZEN" in done.err
    found = call(home, "status", "--json").json
    assert found["digest"] == done.json["status"]["digest"] and not found["running"] and len(found["days"]) == 2
    assert "equity" in call(home, "status").out
    proof = call(home, "parity", done.json["state_folder"], "--against", "research")
    assert proof.code == 0 and "all 60 bars of 2 days" in proof.out
    assert call(home, "halt", "--reason", "lunch").code == 0
    assert call(home, "resume", "--reason", "back").code == 0
    assert "a reason is mandatory" in call(home, "halt").complaint
    again = call(home, *paper)
    assert again.code == 0 and "nothing new" in again.out


def test_bad_input_is_one_line(call, home):
    feed = ("trade", "paper", "--config", home / "config.toml", "--feed")
    assert "is a percentile of a window" in call(home, *feed, "replay:m").complaint
    (home / "c.toml").write_text(CONFIG.replace('"p60"', "0.0001"))
    paper = ("trade", "paper", "--config", home / "c.toml", "--feed")
    assert "no feed 'repaly'; did you mean 'replay'?" in call(home, *paper, "repaly:m").complaint
    assert "names no dataset" in call(home, *paper, "replay").complaint
    (home / "s.toml").write_text("[limits]\nleverag = 1.0\n")
    bad = call(home, *paper, "replay:m", "--session", home / "s.toml")
    assert bad.code == 2 and "limits.leverag" in bad.complaint and "did you mean 'limits.leverage'" in bad.complaint
    assert "no blue champion" in call(home, "trade", "paper", "--feed", "replay:m").complaint
    assert "no session here" in call(home, "status").complaint
    assert "names one side" in call(home, "parity", "runs/run").complaint
