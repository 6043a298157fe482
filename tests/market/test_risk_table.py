"""The risk table of a dataset: as-of joins, versions, what a config does with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dolphin.catalog import Dataset, generate, open_dataset
from dolphin.catalog.query.lineage import dataset_lineage
from dolphin.catalog.store.tables import Part, Table, open_table, write_table
from dolphin.config import Config, Variants, parse_config
from dolphin.core.records import neutral_risk
from dolphin.errors import DolphinError
from dolphin.feeds.compaction import compact_day
from dolphin.feeds.declared import DECLARED
from dolphin.feeds.health import Health
from dolphin.feeds.meter import Record
from dolphin.feeds.poller import Value
from dolphin.feeds.recorder import Recorder, recording_folder
from dolphin.files import canonical_json
from dolphin.market.assemble import open_market
from dolphin.market.risk_sources import DEPTH, FILL, PROBABILITY
from dolphin.market.risk_table import build_risk, check_recorded, risk_document, risk_table, table_rows
from dolphin.risk.book import MOCK
from dolphin.risk.esof import REGISTRY
from dolphin.risk.rules import FACTORS, parse_rules
from dolphin.study.measure.run import equity_frame, run, write_run
from dolphin.times import format_time
from dolphin.workspace import Workspace

HOUR = 3600 * 10**9
REDUCED = parse_rules({"required": ["vix", "fng"]}, "test")


def series(home: Workspace, name: str, rows: list[tuple]) -> Table:
    """A table of (series, symbol, available_ts, value)."""
    schema = {"series": pl.String, "symbol": pl.String, "available_ts": pl.Int64, "value": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema, orient="row").sort("available_ts")
    frame = frame.with_columns(pl.col("available_ts").alias("reference_ts"))
    columns = ("series", "symbol", "reference_ts", "available_ts", "value")

    def parts() -> Iterator[Part]:
        yield "2025-01-01", None, frame.select(columns)

    return write_table(home, name, kind="series", parts=parts(), about={"sources": [], "made": "a test"})


@pytest.fixture
def data(home: Workspace) -> Dataset:
    dataset = open_dataset(home, "m")
    ts = dataset.first_ts
    series(home, "e", [("VIXCLS", None, ts + 5 * HOUR, 30.0), ("FEAR_GREED", None, ts - HOUR, 20.0)])
    return dataset


def config(busy: Config, **risk: str) -> Config:
    return parse_config({"params": busy.params.model_dump(), "risk": risk}, where="test")


def test_values_count_from_their_publication(data: Dataset) -> None:
    table = build_risk(data, "r", rules=REDUCED, external="e")
    rows = table_rows(data, "r")
    first = int(np.argmax(rows["ready"]))
    assert data.grid()[first] == data.first_ts + 5 * HOUR and rows["ready"][:first].sum() == 0
    assert rows["signals"][first] == 1.5 and (rows["boost"][:first] == 1.0).all()
    stale = data.grid() > data.first_ts + 47 * HOUR  # fear and greed is older than two of its periods
    assert not rows["ready"][stale].any() and rows["ready"][~stale][first:].all()
    assert table.manifest["categories"]["circuit breaker"].endswith("reduced to fng, vix")
    assert set(table.manifest["categories"]) > {"Rm2 structure", "Rm3 microstructure", "Rm4 environment"}


def test_what_a_feed_recorded_is_read(home: Workspace, data: Dataset) -> None:
    begun, recorder = data.first_ts, Recorder(recording_folder(home), HOUR, Health(), lambda: data.first_ts)
    with recorder.opened() as made:
        for name in FACTORS:
            low, high, basis = DECLARED[name].low, DECLARED[name].high, DECLARED[name].basis
            for at in range(begun, begun + 2 * HOUR, HOUR // 12):
                made.value(Value(name, 0.5 * (low + high), basis, at, at, at + 1))
            other = "another instrument"
            made.value(Value(name, high, other, begun, begun, begun + HOUR))
        for k in range(60):
            made.book(Record(data.reference, begun + k * 5 * 10**9, k, MOCK, 1.0, 1.0))
    tables = compact_day(home, "rec", format_time(begun)[:10])
    table = build_risk(data, "r", external=tables["exf"].name, books=tables["books"].name)
    said = table.manifest["categories"]
    assert said["circuit breaker"].startswith("9 of 9 factors are recorded")
    assert said["Rm4 environment"].startswith("spikes of DVOL_BTC") and "books of" in said["Rm3 microstructure"]
    rows = table_rows(data, "r")
    grid = data.grid()
    assert rows["ready"][(grid > begun) & (grid <= begun + 2 * HOUR)].all() and not rows["ready"][0]
    assert not rows["ready"][grid > begun + 3 * HOUR].any()


def test_the_esoteric_slot_is_neutral_and_by_name(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = build_risk(data, "r", rules=REDUCED, external="e")
    assert build_risk(data, "r", rules=REDUCED, external="e", esof="neutral").digest == plain.digest
    with pytest.raises(DolphinError, match="no esoteric factor 'moon'"):
        build_risk(data, "r", rules=REDUCED, external="e", esof="moon")
    monkeypatch.setitem(REGISTRY, "twice", lambda ts: np.full(len(ts), 2.0))
    doubled = build_risk(data, "r2", rules=REDUCED, external="e", esof="twice")
    assert doubled.manifest["categories"]["esoteric factor"] == "twice"
    assert (table_rows(data, "r2")["signals"] == 2.0 * table_rows(data, "r")["signals"]).all()


def test_books_of_several_days_are_joined(home: Workspace, data: Dataset) -> None:
    ts, symbol = data.first_ts, data.reference
    rows = [[(DEPTH, symbol, ts + k * HOUR, 0.4 + 0.1 * k), (FILL, symbol, ts + k * HOUR, 0.9)] for k in (2, 3)]
    for day, part in zip(("01", "02"), rows, strict=True):
        series(home, f"day_{day}", part)
    series(home, "both", rows[0] + rows[1])
    one = build_risk(data, "r", books="both")
    for number, books in enumerate(("day_01,day_02", "day_*", "day_02,day_01")):
        many = build_risk(data, f"r{number}", books=books)
        assert (table_rows(data, f"r{number}")["rm3"] == table_rows(data, "r")["rm3"]).all()
        assert {"books day_01", "books day_02"} == {*many.manifest["tables"]} and "books" in one.manifest["tables"]
    with pytest.raises(DolphinError, match="no table's name begins with 'night_'"):
        build_risk(data, "x", books="night_*")


def test_nine_factors_are_never_ready_with_two(data: Dataset) -> None:
    table = build_risk(data, "r", external="e")
    assert "never ready without funding_btc" in table.manifest["categories"]["circuit breaker"]
    assert not table_rows(data, "r")["ready"].any()


def test_all_sources(home: Workspace, data: Dataset) -> None:
    ts, symbol = data.first_ts, data.reference
    held = [("dvol" if f == "dvol_btc" else f.upper(), None, ts + k * HOUR, 1.0) for k in range(72) for f in FACTORS]
    spiked = [row if row[2] != ts + 71 * HOUR or row[0] != "dvol" else (*row[:3], 99.0) for row in held]
    old = [("dvol", None, ts - k * HOUR, 50.0 + 0.1 * (k % 2)) for k in range(1, 200)]
    series(home, "full", spiked + old)
    series(home, "books", [(DEPTH, symbol, ts + 2 * HOUR, 0.5), (FILL, symbol, ts + 2 * HOUR, 0.9)])
    series(home, "forecasts", [(PROBABILITY, None, ts + 3 * HOUR, 0.3), (PROBABILITY, None, ts + 4 * HOUR, 0.0)])
    build_risk(data, "r", external="full", books="books", forecasts="forecasts")
    rows, grid = table_rows(data, "r"), data.grid()
    at = {hour: int(np.searchsorted(grid, ts + hour * HOUR)) for hour in (1, 2, 3, 4, 71)}
    assert rows["rm3"][at[1]] == 0.5 and rows["rm3"][at[2]] == 0.3 + 0.7 * ((0.5 - 0.3) / 0.4)
    assert rows["rm3"][at[2] + 1] == 0.5  # a minute later the book is too old
    assert rows["rm2"][at[2]] == 1.0 and rows["rm2"][at[3]] == 0.1 and rows["rm2"][at[4]] == 1.0
    assert rows["rm4"][at[71]] == 0.3 and (rows["rm4"][: at[71]] == 1.0).all()
    assert rows["ready"][at[71]] == 1


def test_modes(data: Dataset, busy: Config, tmp_path: Path) -> None:
    build_risk(data, "r", rules=REDUCED, external="e")
    apply, observe, neutral = (config(busy, table="r", mode=mode) for mode in ("apply", "observe", "neutral"))
    assert len({c.hash for c in (busy, apply, observe, neutral)}) == 4
    rows, market = table_rows(data, "r"), open_market(data, apply)
    assert all((market.risk[name] == rows[name]).all() for name in ("boost", "beta", "rm", "posture"))
    assert (market.risk["quality"] == np.clip((rows["rm3"] - 0.3) / 0.7, 0.0, 1.0)).all()
    assert (open_market(data, observe).risk == neutral_risk(data.n_bars)).all()
    done = {c.risk.mode: run(data, open_market(data, c), c, 100, 2000) for c in (apply, observe, neutral)}
    plain = run(data, open_market(data, busy), busy, 100, 2000)
    assert done["observe"].final_digest == done["neutral"].final_digest == plain.final_digest
    assert done["apply"].final_digest != plain.final_digest
    assert not equity_frame(done["apply"]).equals(equity_frame(plain))
    write_run(done["observe"], np.zeros(data.n_bars, np.int8), tmp_path / "run")
    kept = pl.read_parquet(tmp_path / "run" / "risk.parquet")
    assert kept.height == 1900 and (kept["boost"].to_numpy() == rows["boost"][100:2000]).all()
    about = risk_document(data, observe)
    assert about is not None and about["digest"] == risk_table(data, "r").digest and about["mode"] == "observe"


def test_an_absent_section_leaves_the_hash(busy: Config) -> None:
    assert "risk" not in busy.document()
    assert parse_config({"params": busy.params.model_dump(), "risk": {}}, where="t").hash == busy.hash


def test_variants_spell_the_section_as_the_config_does(busy: Config) -> None:
    base = config(busy, table="r")
    for values in ({"risk.mode": "observe"}, {"tp_pct": 0.003}, {"risk.mode": "neutral", "soft_cap": 3.0}):
        variant, slow = Variants(base).of(values), base.with_values(values)
        assert variant.hash == slow.hash and variant.text == canonical_json(slow.document()).decode()
    with pytest.raises(DolphinError, match="risk"):
        Variants(base).of({"risk.mode": "aply"})


def test_a_neutral_table_changes_no_bit_of_the_money(data: Dataset, busy: Config) -> None:
    # The digest is another's: an engine that obeys postures folds what it obeys.
    build_risk(data, "r")
    applied = config(busy, table="r", account=False)
    ours, plain = (run(data, open_market(data, c), c, 0, 2000) for c in (applied, busy))
    assert ours.recording.equity.tobytes() == plain.recording.equity.tobytes()
    assert ours.recording.trades.tobytes() == plain.recording.trades.tobytes()


def test_a_strategy_that_cannot_be_halted_is_refused(data: Dataset, busy: Config) -> None:
    applied = config(busy, table="r")
    unhalted = replace(applied.strategy, reasons=("", "A", "B", "C", "D", "E", "F"), orderly=())
    with pytest.raises(DolphinError, match="no reason 'HIBERNATE_HALT'"):
        _ = replace(applied, strategy=unhalted).engine


def test_lineage_and_versions(home: Workspace, data: Dataset) -> None:
    first = build_risk(data, "r", rules=REDUCED, external="e")
    assert build_risk(data, "r", rules=REDUCED, external="e").unchanged
    second = build_risk(data, "r")
    assert first.digest != second.digest and open_table(home, f"r@{first.digest}").digest == first.digest
    node = dataset_lineage(home, f"r@{first.digest}")
    behind = [child.label for child in node.made_from if child.what == "dataset"]
    assert [label.partition("@")[0] for label in behind] == ["m", "e"]


def test_one_line_for_what_is_wrong(home: Workspace, data: Dataset, busy: Config) -> None:
    generate(home, "other", preset="edge", days=1, assets=3, spacing_ns=60 * 10**9, seed=4)
    build_risk(open_dataset(home, "other"), "foreign")
    first = build_risk(data, "r")
    for name, said in (("nothing", "no dataset 'nothing'"), ("e", "holds series"), ("foreign", "not of 'm'")):
        for mode in ("apply", "observe", "neutral"):
            with pytest.raises(DolphinError, match=said):
                open_market(data, config(busy, table=name, mode=mode))
    with pytest.raises(DolphinError, match="names no table"):
        parse_config({"risk": {"mode": "apply"}}, where="test")
    with pytest.raises(DolphinError, match="DEPTH_QUALITY"):
        build_risk(data, "x", books="e")
    with pytest.raises(DolphinError, match="CATASTROPHIC_PROB"):
        build_risk(data, "x", forecasts="e")
    about = {"risk": risk_document(data, config(busy, table="r"))}
    check_recorded(data, config(busy, table="r"), about, "run.json")
    build_risk(data, "r", rules=REDUCED, external="e")
    with pytest.raises(DolphinError, match="was made with version"):
        check_recorded(data, config(busy, table="r"), about, "run.json")
    check_recorded(data, config(busy, table=f"r@{first.digest}"), about, "run.json")
    generate(home, "m", preset="edge", days=1, assets=3, spacing_ns=60 * 10**9, seed=5)
    with pytest.raises(DolphinError, match="is of version"):
        open_market(open_dataset(home, "m"), config(busy, table="r"))
