"""From a definition to a dataset, a refusal and a page, as a user types it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
from command_line import Answer, dolphin, klines, write_source

Call = Callable[..., Answer]


def test_build_refuse_and_look_at_it(home: Path, tmp_path: Path, call: Call) -> None:
    frame = klines()
    holes = frame.filter(~pl.int_range(pl.len()).is_between(70, 79))
    source = write_source(tmp_path / "source", holes)
    definition = home / "data_catalog" / "k.toml"
    definition.write_text(f"source = '{source}'\nnotes = ['a caveat']\n[limits]\nlongest_gap = '10m'\n")
    made = dolphin(home, "data", "build", "k", "--html", tmp_path / "k.html", "--json")
    assert (made.code, made.err) == (0, "")
    assert made.json["quality"]["gaps"]["ETHUSDT"]["longest"] == 10 and made.json["changes"] == []
    page = (tmp_path / "k.html").read_text()
    assert (
        "a caveat" in page
        and "REFUSED" not in page[page.index("<body>") : page.index("<script>")]
        and "ETHUSDT" in page
    )
    definition.write_text(f"source = '{source}'\n[limits]\nlongest_gap = '9m'\nmissing_share = 0.01\n")
    before = call(home, "data", "show", "k", "--json").json
    refused = dolphin(home, "data", "build", "k", "--html", tmp_path / "no.html", "--json")
    assert refused.code == 1 and "longest_gap: 10m of ETHUSDT, limit 9m" in refused.json["breaches"]
    assert len(refused.json["breaches"]) == 2 and "(and 1 more)" in refused.complaint
    assert "REFUSED" in (tmp_path / "no.html").read_text()
    assert call(home, "data", "show", "k", "--json").json == before
    spoken = call(home, "data", "build", "k")
    assert spoken.code == 1 and "limit broken: longest_gap" in spoken.out

    shown = call(home, "data", "quality", "k", "--out", tmp_path / "q.html", "--json")
    assert shown.code == 0 and shown.json["missing_share"] == 10 / 120 and (tmp_path / "q.html").is_file()
    assert call(home, "data", "quality", "m", "--out", tmp_path / "m.html").code == 0
    assert "SYNTHETIC DATA" in (tmp_path / "m.html").read_text()
    said = call(home, "data", "show", "k")
    assert said.code == 0 and "note: a caveat" in said.out and "ALWAYS_OPEN" in said.out


def test_wrong_requests_are_one_line(home: Path, tmp_path: Path, call: Call) -> None:
    assert "no such definition" in call(home, "data", "build", "absent").complaint
    assert "no dataset 'absent'" in call(home, "data", "quality", "absent").complaint
    assert "is a folder" in call(home, "data", "quality", "m", "--out", tmp_path).complaint
    mixed = write_source(tmp_path / "mixed", klines())
    ticks = {"symbol": ["BTCUSDT"], "ts": [1_735_689_600_000], "price": [100.5], "quantity": [1.0]}
    pl.DataFrame(ticks).write_parquet(mixed / "a.parquet")
    done = call(home, "data", "import", mixed, "--name", "x")
    assert done.code == 2 and "keep one kind of data in a folder" in done.complaint
    assert not (home / "data_catalog" / "bars" / "x").exists()


def test_import_again_says_what_changed(home: Path, tmp_path: Path, call: Call) -> None:
    source = write_source(tmp_path / "source", klines())
    assert call(home, "data", "import", source, "--name", "k", "--json").json["changes"] == []
    again = call(home, "data", "import", source, "--name", "k", "--note", "new", "--json").json
    assert again["unchanged"] is True and again["changes"] == ["notes changed"]
    assert call(home, "data", "show", "k", "--json").json["notes"] == ["new"]
    apart = (write_source(tmp_path / "a", klines()[:60]), write_source(tmp_path / "b", klines()[60:]))
    both = call(home, "data", "import", *apart, "--name", "both", "--json").json
    assert both["digest"] == again["digest"]
