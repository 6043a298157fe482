from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dolphin.catalog import ImportReport, open_dataset
from dolphin.catalog.ingest.build import build
from dolphin.catalog.ingest.definition import Limits, definition_path, parse_definition, read_definition
from dolphin.catalog.quality.report import QualityRefused
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace

Source = Callable[..., Path]


def define(workspace: Workspace, name: str, text: str) -> None:
    definition_path(workspace, name).write_text(text)


def made(workspace: Workspace, name: str) -> ImportReport:
    report = build(workspace, name)
    assert isinstance(report, ImportReport)
    return report


def test_a_dataset_from_its_definition(
    workspace: Workspace, source: Source, klines: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = source(klines)
    monkeypatch.setenv("MARKET_DATA", str(folder.parent))
    text = f"""
        source = "${{MARKET_DATA}}/{folder.name}"
        spacing = "1m"
        reference = "ETHUSDT"
        from = 2025-01-01
        to = "2025-01-01T00:20:00Z"
        notes = ["chosen by volume"]
        [limits]
        missing_share = 0.0
        longest_gap = "1m"
        rejected = 0
        rows = {{ price_jump = 0, duplicate = 0 }}
    """
    define(workspace, "k", text)
    report = made(workspace, "k")
    dataset = report.dataset
    assert (dataset.n_bars, dataset.reference, dataset.symbols) == (20, "ETHUSDT", ("BTCUSDT", "ETHUSDT"))
    assert dataset.manifest["made"] == "dolphin data build k" and dataset.manifest["notes"] == ["chosen by volume"]
    definition = read_definition(workspace, "k")
    kept = dict(dataset.manifest["definition"])
    assert kept.pop("hash") == definition.hash and kept == definition.document()
    assert parse_definition({k: v for k, v in kept.items() if v is not None and k != "limits"}, "kept") is not None
    assert made(workspace, "k").unchanged and made(workspace, "k").changes == ()


def test_a_changed_source_is_said_and_a_new_version(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    folder = source(klines[:60], klines[60:])
    define(workspace, "k", f"source = ['{folder}']")
    first = made(workspace, "k").dataset
    source(klines[:60], klines[60:].with_columns(pl.col("volume") * 2))
    again = made(workspace, "k")
    assert again.changes == ("source changed: 1.parquet",) and not again.unchanged
    assert open_dataset(workspace, f"k@{first.digest[:12]}").digest == first.digest != again.dataset.digest
    (folder / "1.parquet").rename(folder / "2.parquet")
    moved = made(workspace, "k")
    assert moved.changes == ("source new: 2.parquet", "source gone: 1.parquet")
    assert moved.unchanged and moved.dataset.digest == again.dataset.digest


def test_notes_are_brought_up_to_date_though_the_rows_are_the_same(
    workspace: Workspace, source: Source, klines: pl.DataFrame
) -> None:
    folder = source(klines)
    define(workspace, "k", f"source = '{folder}'")
    first = made(workspace, "k")
    define(workspace, "k", f"source = '{folder}'\nnotes = ['new']")
    again = made(workspace, "k")
    assert again.unchanged and again.changes == ("notes changed", "definition changed")
    assert again.dataset.digest == first.dataset.digest
    assert open_dataset(workspace, "k").manifest["notes"] == ["new"]


def test_symbols_that_are_not_listed_are_set_aside(workspace: Workspace, source: Source, klines: pl.DataFrame) -> None:
    define(workspace, "k", f"source = '{source(klines)}'\nsymbols = ['BTCUSDT']")
    report = made(workspace, "k")
    assert report.dataset.symbols == ("BTCUSDT",)
    assert report.quality["counts"]["unknown_symbol"] == report.quality["rejected"] == 60


LIMITS = {
    "missing_share = 0.05": "missing_share: 14.1667% of the grid, limit 5.0000%",
    "symbol_missing_share = 0.2": "symbol_missing_share: 28.3333% of ETHUSDT, limit 20.0000%",
    "longest_gap = '9m'": "longest_gap: 10m of ETHUSDT, limit 9m",
    "rejected = 0": "rejected: 2 rows set aside, limit 0",
    "rows = { duplicate = 1 }": "rows.duplicate: 2 rows, limit 1",
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_dataset_that_breaks_a_limit_is_refused(
    workspace: Workspace, source: Source, klines: pl.DataFrame, snapshot: Callable[[Path], dict[str, bytes]], limit: str
) -> None:
    btc, eth = klines[:60], klines[60:]
    holes = source(pl.concat([btc, btc[4:6], eth[3:10], eth[14:50]]).sort("symbol", "ts"))
    define(workspace, "k", f"source = '{holes}'\non_bad = 'reject'")
    good = made(workspace, "k")
    define(workspace, "k", f"source = '{holes}'\non_bad = 'reject'\n[limits]\n{limit}")
    before = snapshot(workspace.catalog)
    with pytest.raises(QualityRefused) as refused:
        build(workspace, "k")
    assert refused.value.exit_code == 1 and refused.value.details == (LIMITS[limit],)
    assert LIMITS[limit] in str(refused.value) and "nothing was published" in str(refused.value)
    assert refused.value.report.numbers == good.quality and refused.value.report.days["count"].sum() == 19
    assert snapshot(workspace.catalog) == before


def test_no_limits_are_none_broken() -> None:
    gaps = {"A": {"missing": 9, "gaps": 1, "longest": 9, "share": 1.0}}
    assert Limits().breaches({"missing_share": 1.0, "rejected": 5, "counts": {}, "gaps": gaps}, 60) == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sorce = 'a'", r"k\.toml: unknown key 'sorce'; did you mean 'source'"),
        ("spacing = '1m'", "source is missing"),
        ("source = []", "source is empty"),
        ("source = 'a'\non_bad = 'ignore'", "on_bad = 'ignore': input should be 'error' or 'reject'"),
        ("source = 'a'\nspacing = 5", "spacing = 5: input should be a valid string"),
        ("source = 'a'\n[limits]\nmising_share = 0", "unknown key 'limits.mising_share'; did you mean 'missing_share'"),
        ("source = 'a'\n[limits]\nmissing_share = 1.5", "limits.missing_share = 1.5: .*less than or equal to 1"),
        ("source = 'a'\n[limits]\nrows = { jump = 1 }", "unknown key 'limits.rows.jump'; did you mean 'price_jump'"),
        ("source = 'a'\n[limits]\nrejected = true", "limits.rejected = True: input should be a valid integer"),
        ("source = 'a'\n[limits]\nlongest_gap = '5 apples'", "'5 apples' is no length of time"),
        ("source = 'a'\nlimits = 5", "limits.* must be a table"),
        ("source = 'absent'", "absent: no such file or folder"),
        ("source = '${NO_SUCH_VARIABLE}/a'", "the environment has no NO_SUCH_VARIABLE; export NO_SUCH_VARIABLE=FOLDER"),
        ("source = ", "not valid"),
        ("source = 'a'\nspacing = '7m'", "'7m' is no bar spacing"),
    ],
)
def test_a_wrong_definition_is_one_clear_line(workspace: Workspace, text: str, says: str) -> None:
    define(workspace, "k", text)
    with pytest.raises(DolphinError, match=says) as caught:
        build(workspace, "k")
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


def test_no_definition(workspace: Workspace) -> None:
    with pytest.raises(DolphinError, match="no such definition; write one"):
        build(workspace, "k")
    define(workspace, "klines", "source = 'a'")
    with pytest.raises(DolphinError, match="did you mean 'klines'"):
        build(workspace, "kline")
