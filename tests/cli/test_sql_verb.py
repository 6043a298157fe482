"""``dolphin sql``, ``data versions/diff/prune/verify/lineage`` as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Answer, dolphin, klines, tree, write_source
from test_promotion import CONFIG, mild_policy, small_floors

from dolphin.gate.candidate import Candidate
from dolphin.workspace import Workspace

Call = Callable[..., Answer]


def test_sql_as_table_csv_json_and_file(home: Path, call: Call, tmp_path: Path) -> None:
    text = "select symbol, count(*) as n, max(close) as top from m group by symbol order by symbol"
    shown = call(home, "sql", text)
    assert shown.code == 0 and "symbol" in shown.out and shown.err == ""
    answer = call(home, "sql", text, "--json").json
    assert [c["name"] for c in answer["columns"]] == ["symbol", "n", "top"] and len(answer["rows"]) == 8
    rows = list(csv.DictReader(io.StringIO(call(home, "sql", text, "--format", "csv").out)))
    assert [(r["symbol"], int(r["n"]), float(r["top"])) for r in rows] == [tuple(r.values()) for r in answer["rows"]]
    out = tmp_path / "o.json"
    assert call(home, "sql", text, "--format", "json", "--out", out).out == ""
    assert json.loads(out.read_text()) == answer
    few = call(home, "sql", "select * from m", "--limit", "2")
    assert few.code == 0 and "the first 2 rows; --limit" in few.err
    odd = call(home, "sql", "select 'nan'::double a, [1, 2] b, 1.50::decimal(20, 8) c, utc(0) d, null e", "--json").json
    assert odd["rows"] == [{"a": "nan", "b": [1, 2], "c": "1.50000000", "d": "1970-01-01T00:00:00Z", "e": None}]
    empty = call(home, "sql", "select symbol from m where false", "--format", "csv")
    assert (empty.code, empty.out) == (0, "symbol\n")


def test_sql_knows_scans_and_trials(home: Path, call: Call) -> None:
    views = call(home, "sql", "--json").json["views"]
    assert {"m", "m_scan", "m_detail", "datasets", "sources", "trials", "champions"} <= views.keys()
    joined = (
        "select count(*) n, count(s.vel_div) f from m b join m_scan s using (ts) "
        "where b.symbol = 'BTCUSDT' and b.date = (select max(date) from m)"
    )
    row = call(home, "sql", joined, "--json").json["rows"][0]
    assert row["n"] >= row["f"] > 0
    assert call(home, "sql", "select study from trials", "--json").json["rows"] == [{"study": "backtest"}]
    assert call(home, "sql", "select * from champions", "--json").json["rows"] == []


def test_sql_mistakes_write_nothing(home: Path, call: Call, tmp_path: Path) -> None:
    before = tree(home)
    (tmp_path / "old.csv").write_text("old")
    for text, said in {
        "select * from mm": "no view 'mm'; did you mean 'm'?",
        "copy m to 'x.csv'": "read-only: COPY is refused",
        "select cast(symbol as int) from m": "Could not convert",
    }.items():
        done = call(home, "sql", text, "--format", "csv", "--out", tmp_path / "old.csv")
        assert done.code == 2 and said in done.complaint and done.out == ""
    assert tree(home) == before and (tmp_path / "old.csv").read_text() == "old"


@pytest.fixture
def two(home: Path, call: Call, tmp_path: Path) -> tuple[Path, str, str]:
    """A workspace where ``k`` has two versions."""
    digests = []
    for folder, bars in (("one", 60), ("two", 59)):
        source = write_source(tmp_path / folder, klines(bars=bars))
        digests.append(call(home, "data", "import", source, "--name", "k", "--json").json["digest"])
    return home, digests[0], digests[1]


def test_versions_diff_and_prune(two: tuple[Path, str, str], call: Call) -> None:
    home, old, new = two
    listed = call(home, "data", "versions", "k", "--json").json["versions"]
    assert [(v["digest"], v["current"]) for v in listed] == [(new, True), (old, False)]
    assert call(home, "data", "show", f"k@{old[:8]}", "--json").json["digest"] == old
    differ = call(home, "data", "diff", f"k@{old[:8]}", "k", "--json")
    assert differ.code == 1 and differ.json["days"]["2025-01-01"]["BTCUSDT"]["only_a"] == 1
    assert call(home, "data", "diff", f"k@{old[:8]}", "k").code == 1
    assert call(home, "data", "diff", "k", f"k@{new[:8]}").code == 0
    scanned = call(home, "scan", f"k@{old[:8]}", "--json")
    assert scanned.code == 0 and f"k@{old[:16]}" in scanned.json["folder"]
    assert call(home, "data", "prune", "k").code == 0
    assert call(home, "data", "show", f"k@{old[:8]}").code == 0, "nothing goes without --yes"
    assert call(home, "data", "prune", "k", "--yes", "--json").json["versions"] == [old]
    assert not (home / "data_catalog" / "scans" / f"k@{old[:16]}").exists()
    assert call(home, "data", "show", f"k@{old[:8]}").code == 2
    assert call(home, "data", "verify").code == 0


def test_verify_looks_at_scans_and_caches(home: Path, call: Call) -> None:
    assert call(home, "data", "verify", "--json").json == {"ok": True, "problems": [], "datasets": {"m": []}}
    folder = home / "data_catalog"
    for path in (next(folder.glob("scans/m/20*.parquet")), next(folder.glob("cache/*/close.npy"))):
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        done = call(home, "data", "verify", "m", "--json")
        assert done.code == 1 and len(done.json["problems"]) == 1
        line = done.json["problems"][0]
        assert (str(path) in line or str(path.parent) in line) and "remove it" in line
        path.write_bytes(data)
    assert call(home, "data", "verify", "m").code == 0


def test_lineage_of_a_run_and_a_dataset(home: Path, call: Call, tmp_path: Path) -> None:
    found = call(home, "data", "lineage", home / "runs" / "run", "--json")
    assert found.code == 0 and found.json["complete"] is True
    run = json.loads((home / "runs" / "run" / "run.json").read_text())
    behind = {node["what"]: node for node in found.json["lineage"]["made_from"]}
    assert behind["config"]["label"] == run["config_hash"] and behind["engine"]["label"] == run["engine_digest"]
    assert behind["dataset"]["digest"] == run["dataset"]["digest"]
    days = [node for node in behind["dataset"]["made_from"] if node["what"] == "scan day"]
    manifest = json.loads((home / "data_catalog" / "m.json").read_text())
    assert {n["label"]: n["made_from"][0]["content"] for n in days} == {
        date: entry["content"] for date, entry in manifest["days"].items()
    }
    source = write_source(tmp_path / "source", klines())
    assert call(home, "data", "import", source, "--name", "k").code == 0
    drawn = call(home, "data", "lineage", "k", "--check")
    assert drawn.code == 0 and "└── source 0.parquet" in drawn.out
    (source / "0.parquet").write_bytes(b"other")
    drawn = call(home, "data", "lineage", "k", "--check")
    assert drawn.code == 1 and "changed since it was imported" in drawn.out
    assert "did you mean 'm'" in call(home, "data", "lineage", "mm").complaint
    assert call(home, "data", "lineage", "k@00000000").code == 1


@pytest.mark.slow
def test_lineage_of_a_champion_whose_data_was_rebuilt(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert dolphin(home, "init", home).code == 0
    (home / "promote" / "floors.toml").write_text(small_floors())
    (home / "promote" / "policy.toml").write_text(mild_policy())
    (home / "a.toml").write_text(CONFIG)
    market = "data generate --name edge --preset edge --days 6 --assets 6 --spacing 1m --seed"
    old = dolphin(home, *market.split(), 3, "--json").json["digest"]
    words = ("promote", "blue", home / "a.toml", "--data", "edge", "--reason", "t", "--weaker-policy", "--json")
    promoted = dolphin(home, *words)
    assert promoted.code == 0, promoted.out + promoted.err
    assert dolphin(home, *market.split(), 4).code == 0
    for text in ("blue", promoted.json["champion"][:12]):
        found = dolphin(home, "data", "lineage", text, "--json")
        assert found.code == 0, found.out + found.err
        data = next(n for n in found.json["lineage"]["made_from"] if n["what"] == "dataset")
        assert (data["digest"], data["current"]) == (old, False)
    # What it was frozen on stays readable: the gate would run the champion on it, and pruning leaves it.
    assert Candidate.from_pointer(Workspace(home)).dataset.digest == old
    assert dolphin(home, "data", "prune", "edge", "--yes", "--json").json["versions"] == []
    row = dolphin(home, "sql", "select champion, pointers, dataset_digest from champions", "--json").json["rows"][0]
    assert row == {"champion": promoted.json["champion"], "pointers": "blue", "dataset_digest": old}
    shutil.rmtree(home / "data_catalog" / "bars" / "edge" / old[:16])
    broken = dolphin(home, "data", "lineage", "blue")
    assert broken.code == 1 and "cannot be followed" in broken.out and "on this machine" in broken.out
