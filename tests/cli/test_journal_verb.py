"""``dolphin journal`` and ``dolphin parity`` over journals, as a user runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from dolphin.journal import Journal


@pytest.fixture(scope="module")
def runs(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two runs and their journals, ``a`` and ``b`` (another take profit)."""
    from command_line import dolphin

    home = Path(shutil.copytree(pristine, tmp_path_factory.mktemp("journals") / "home"))
    for name, more in (("a", ()), ("b", ("--set", "tp_pct=0.0021"))):
        out = ("--out", home / "runs" / name, "--journal")
        done = dolphin(home, "backtest", "m", "--config", home / "config.toml", *out, *more)
        assert done.code == 0, done.err
    return home


def test_a_run_and_its_journal_are_equal(call, runs):
    a = runs / "runs" / "a"
    answer = call(runs, "parity", a, a / "journal.arrow", "--json")
    assert answer.code == 0 and answer.json["equal"] and answer.json["bars"] == 4320
    answer = call(runs, "parity", a, f"{a}@rung4")
    assert answer.code == 0 and answer.out.splitlines()[-1] == "all 4,320 bars are equal, bit for bit"


def test_show_verify_replay(call, runs):
    a = runs / "runs" / "a"
    shown = call(runs, "journal", "show", a, "--at", 2000, "--bars", 7, "--json").json
    assert [bar["bar"] for bar in shown["bars"]] == list(range(2000, 2007)) and shown["bars_in_all"] == 4320
    equity = pl.read_parquet(a / "equity.parquet")["equity"][2000:2007].to_list()
    assert [bar["equity"] for bar in shown["bars"]] == equity
    digests = pl.read_parquet(a / "digests.parquet")["digest"]
    assert [bar["digest"] for bar in shown["bars"]] == [f"{word:016x}" for word in digests[2000:2007]]
    assert "4,320 bars" in call(runs, "journal", "show", a).out
    by_time = call(runs, "journal", "show", a, "--from", "2025-01-02", "--to", "2025-01-02T00:05", "--json").json
    assert [bar["time"] for bar in by_time["bars"]] == [f"2025-01-02T00:0{k}:00Z" for k in range(5)]
    checked = call(runs, "journal", "verify", a / "journal.arrow", "--json").json
    assert checked["bars"] == 4320 and checked["torn_bytes"] == 0 and checked["ended"]
    assert checked["final_digest"] == json.loads((a / "run.json").read_text())["final_digest"]
    again = call(runs, "journal", "replay", a, "--json")
    assert again.code == 0 and again.json["equal"] and again.json["bars"] == 4320


def test_export_is_a_table_per_kind(call, runs, tmp_path):
    answer = call(runs, "journal", "export", runs / "runs" / "a", "--out", tmp_path / "out", "--json")
    assert answer.code == 0 and answer.json["files"]["bar.parquet"] == 4320
    bars, events = (pl.read_parquet(tmp_path / "out" / f"{kind}.parquet") for kind in ("bar", "event"))
    prices = bars.select("ts", price="price_BTCUSDT")
    assert prices["price"].is_not_null().all() and bars["digest"].n_unique() == 4320
    trades = pl.read_parquet(runs / "runs" / "a" / "trades.parquet")
    closes = events.filter(pl.col("action_name") == "close")
    assert closes["price"].to_list() == trades["exit_price"].to_list()
    assert closes["bar"].to_list() == trades["exit_bar"].to_list()
    refused = call(runs, "journal", "export", runs / "runs" / "a", "--out", tmp_path / "out")
    assert refused.code == 2 and "exists already" in refused.complaint


def test_the_report_names_field_cause_and_consequence(call, runs, tmp_path):
    a, b = runs / "runs" / "a", runs / "runs" / "b"
    folders = call(runs, "parity", a, b, "--json")
    journals = call(runs, "parity", a / "journal.arrow", b / "journal.arrow", "--json", "--html", tmp_path / "p.html")
    mixed = call(runs, "parity", a, b / "journal.arrow", "--json")
    assert {folders.code, journals.code, mixed.code} == {1}
    found = journals.json
    for other in (folders.json, mixed.json):
        for name in ("sentence", "bar", "stage", "cause", "fields", "positions", "notes", "row", "later"):
            assert found[name] == other[name], name
    assert found["stage"] == "intent" and found["cause"] == "different config"
    assert found["later"]["verdict"] == "one cause"
    assert "params.tp_pct: 0.002 and 0.0021" in found["notes"]
    page = (tmp_path / "p.html").read_text()
    assert "default-src 'none'" in page and "DIFFERS" in page and found["time"] in page


def test_rungs_are_run_and_compared(call, runs):
    where = ("--config", runs / "config.toml", "--from", "2025-01-02", "--to", "2025-01-02T03:00")
    answer = call(runs, "parity", "m@rung0", "m@rung2", *where)
    assert answer.code == 0 and answer.out.splitlines()[-1] == "all 180 bars are equal, bit for bit", answer
    answer = call(runs, "parity", "m@rung2", "m@rung0", *where, "--set", "fee_bps=3", "--json")
    assert answer.code == 0 and answer.json["bars"] == 180
    for name in ("m@rung3", "m@rung4"):  # a node, and its journal decided again
        answer = call(runs, "parity", "m@rung0", name, *where, "--json")
        assert answer.code == 0 and answer.json["bars"] == 180, answer


def test_the_ladder_writes_the_journals_of_nautilus(call, runs, tmp_path):
    where = ("--config", runs / "config.toml", "--from", "2025-01-02", "--to", "2025-01-02T06:00")
    answer = call(runs, "ladder", "m", *where, "--rungs", "2", "--journals", tmp_path / "j")
    assert answer.code == 0, answer
    for feed in ("scan", "bars"):
        file = tmp_path / "j" / f"nautilus-{feed}.arrow"
        replayed = call(runs, "journal", "replay", file, "--json")
        assert replayed.code == 0 and replayed.json["equal"], replayed
        assert Journal(file).header["session"] == f"nautilus backtest, {feed}"
    answer = call(runs, "parity", "m@rung0", tmp_path / "j" / "nautilus-scan.arrow", *where)
    assert answer.code == 0


def test_a_tolerance_is_said(call, runs):
    a, b = runs / "runs" / "a", runs / "runs" / "b"
    near = runs / "runs" / "near"
    config = ("--config", runs / "config.toml", "--set", "initial_capital=25000.000001")
    assert call(runs, "backtest", "m", *config, "--out", near, "--journal").code == 0
    for one, two in ((a, near), (a / "journal.arrow", near / "journal.arrow"), (a, near / "journal.arrow")):
        assert call(runs, "parity", one, two).code == 1
        answer = call(runs, "parity", one, two, "--tolerance", 1e-9)
        assert answer.code == 0 and "within 1e-09, not bit for bit" in answer.out
    answer = call(runs, "parity", a, b, "--tolerance", 1e-9, "--json")
    assert answer.code == 1 and any("within 1e-09 up to there" in line for line in answer.json["notes"])
    assert call(runs, "parity", a, b, "--tolerance", 2).code == 2


def test_torn_flipped_and_missing(call, runs, tmp_path):
    whole = (runs / "runs" / "a" / "journal.arrow").read_bytes()
    torn, flipped = tmp_path / "torn.arrow", tmp_path / "flipped.arrow"
    torn.write_bytes(whole[: len(whole) // 2])
    answer = call(runs, "journal", "replay", torn)
    assert answer.code == 0 and "hold no whole record" in answer.err
    answer = call(runs, "parity", torn, runs / "runs" / "a", "--json")
    assert answer.code == 1 and answer.json["cause"] == "missing bar"
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 1
    flipped.write_bytes(broken)
    for verb in (("verify", flipped), ("replay", flipped), ("export", flipped, "--out", tmp_path / "e")):
        answer = call(runs, "journal", *verb)
        assert answer.code == 2 and f"{flipped}: damaged at byte" in answer.complaint
    assert not (tmp_path / "e").exists()
    answer = call(runs, "journal", "show", runs / "runs" / "run")
    assert answer.code == 2 and "holds no journal" in answer.complaint
    answer = call(runs, "journal", "show", torn, "--at", 4000)
    assert answer.code == 2 and "no bars there" in answer.complaint
    answer = call(runs, "parity", "m@rung0", "m@rung2")
    assert answer.code == 2 and "--config" in answer.complaint
    answer = call(runs, "parity", "m@rung1", "m@rung2", "--config", runs / "config.toml")
    assert answer.code == 2 and "rung 1 keeps no digests" in answer.complaint
