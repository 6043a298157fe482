"""``dolphin cache`` as a user runs it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from command_line import dolphin

from dolphin.catalog import Dataset, generate
from dolphin.workspace import Workspace, create

MINUTE_NS = 60 * 10**9


@pytest.fixture
def market(tmp_path: Path) -> Dataset:
    home = create(tmp_path / "home")
    dataset = generate(home, "m", preset="null", days=1, assets=2, spacing_ns=5 * MINUTE_NS).dataset
    dataset.prices()
    return dataset


def test_list_limit_and_clear(market: Dataset) -> None:
    home = market.root.parent
    listed = dolphin(home, "cache", "--json").json
    (entry,) = listed["entries"]
    assert (entry["what"], entry["dataset"], entry["digest"]) == ("prices", "m", market.digest)
    assert entry["present"] and entry["bytes"] == listed["bytes"] > 0 and entry["last_used"].startswith("20")
    assert listed["limit"] is None and listed["evicted"] == []
    shown = dolphin(home, "cache")
    assert shown.code == 0 and "prices" in shown.out and market.digest[:16] in shown.out
    assert "1 in the cache" in shown.out and "no limit" in shown.out

    limited = dolphin(home, "cache", "--limit", "20GB")
    assert limited.code == 0 and "limit 20.0 GB" in limited.out
    assert tomllib.loads((home / "dolphin.toml").read_text()) == {"version": 1, "cache": {"limit": "20GB"}}
    assert (market.cache_root / entry["key"]).is_dir()
    small = dolphin(home, "cache", "--limit", "1kB", "--json").json
    assert small["entries"] == [] and [e["key"] for e in small["evicted"]] == [entry["key"]]
    assert list(market.cache_root.iterdir()) == []

    assert dolphin(home, "cache", "--limit", "none", "--json").json["limit"] is None
    market.prices()
    cleared = dolphin(home, "cache", "--clear")
    assert cleared.code == 0 and "removed 1" in cleared.out and "0 in the cache, 0 B" in cleared.out
    assert dolphin(home, "data", "verify", "m").code == 0  # copies only


@pytest.mark.parametrize("size", ["20", "20 bananas"])
def test_a_limit_that_is_no_size(market: Dataset, size: str) -> None:
    home = market.root.parent
    before = (home / "dolphin.toml").read_bytes()
    answer = dolphin(home, "cache", f"--limit={size}")
    assert answer.code == 2 and f"'{size}' is no size; write it like 20GB" in answer.complaint
    assert (home / "dolphin.toml").read_bytes() == before and len(list(market.cache_root.iterdir())) == 1


def test_a_bad_limit_in_the_file_stops_a_build_and_names_the_file(market: Dataset) -> None:
    home = Workspace(market.root.parent)
    (home.root / "dolphin.toml").write_text('version = 1\n[cache]\nlimit = "lots"\n')
    for verb in (("cache",), ("scan", "m")):
        answer = dolphin(home.root, *verb)
        assert answer.code == 2 and "dolphin.toml: [cache] limit: 'lots' is no size" in answer.complaint
