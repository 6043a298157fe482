"""The tear sheet as a document: whole, self-contained, escaped, and true to the run."""

from __future__ import annotations

import base64
import gzip
import json
import math
from html.parser import HTMLParser

import polars as pl
import pytest

from dolphin.errors import DolphinError
from dolphin.manifests import write_manifest
from dolphin.report import tear_sheet, write_tear_sheet
from dolphin.report.numerals import number, percent

_VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """Elements, text and embedded data of a page; fails on tags that do not close."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.figures: dict[str, dict] = {}
        self.tables: list[list[list[str]]] = []
        self.words: list[str] = []
        self._data: str | None = None
        self._packed = False
        self.feed(document)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "script" and attributes.get("type") in ("application/json", "application/gzip"):
            self._data, self._packed = attributes["id"], attributes["type"] == "application/gzip"
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "script":
            self._data = None

    def handle_data(self, data):
        if self._data:
            plain = gzip.decompress(base64.b64decode(data)) if self._packed else data
            self.figures[self._data.removeprefix("figure-")] = json.loads(plain)
        elif "script" not in self.open and "style" not in self.open:
            self.words.append(data)
            if self.tables and self.tables[-1] and ("td" in self.open or "th" in self.open):
                self.tables[-1][-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def table(self, first_head: str) -> list[list[str]]:
        (found,) = [t for t in self.tables if t[0][0] == first_head]
        return found

    def classes(self) -> set[str]:
        return {c for _, a in self.tags for c in (a.get("class") or "").split()}


def metrics_of(folder):
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture
def folder(make_run):
    return make_run(bars=6_000)


@pytest.fixture
def sheet(folder):
    return Page(tear_sheet(folder))


def test_nothing_is_loaded_from_outside(folder):
    document = tear_sheet(folder)

    loading = {"src", "href", "srcset", "data", "action", "poster", "background", "formaction"}
    page = Page(document)
    assert [a for _, a in page.tags if loading & a.keys()] == []
    assert not {"link", "iframe", "object", "embed", "base", "img"} & {tag for tag, _ in page.tags}
    style = document[document.index("<style>") : document.index("</style>")]
    assert "url(" not in style and "@import" not in style
    (policy,) = [a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy and "http" not in policy and "connect-src" not in policy
    assert document.count("plotly.js v") == 1


def test_key_figures_are_the_metrics(folder, sheet):
    metrics = metrics_of(folder)

    for shown in (
        percent(metrics["roi"], signed=True),
        percent(metrics["max_drawdown"]),
        number(metrics["profit_factor"], 3),
        percent(metrics["win_rate"], 1),
        number(metrics["sharpe_365"]),
        number(metrics["sharpe_252"]) + " on 252 days",
        number(metrics["final_equity"]),
        number(metrics["fees_paid"]),
        f"{metrics['bars']:,} bars of 5 min",
    ):
        assert shown in sheet.text


def test_tables_add_up_to_the_metrics(folder, sheet):
    metrics = metrics_of(folder)
    gain = metrics["final_equity"] - 25_000.0

    for head, pnl_column in (("Exit reason", 6), ("Asset", 9)):
        # "Largest gains and losses" starts with Asset too; the sortable table is the one with a foot.
        (table,) = [t for t in sheet.tables if t[0][0] == head and t[-1][0] == "All"]
        *body, foot = table[1:]
        assert sum(int(row[1].replace(",", "")) for row in body) == metrics["trades"]
        amounts = [float(row[pnl_column].replace(",", "").replace("\u2212", "-")) for row in [*body, foot]]
        assert sum(amounts[:-1]) == pytest.approx(gain, abs=0.01 * len(body))
        assert amounts[-1] == pytest.approx(gain, abs=0.006)
    (year,) = sheet.table("Year")[1:]
    assert len(year) == 14 and year[-1] == percent(metrics["roi"], signed=True)


@pytest.mark.parametrize("synthetic", [True, False])
def test_the_badge_is_there_only_for_generated_markets(make_run, synthetic):
    page = Page(tear_sheet(make_run(facts={"synthetic": synthetic, "preset": "edge", "seed": 20240101})))

    assert (("synthetic" in page.classes()), "SYNTHETIC" in page.text) == (synthetic, synthetic)
    assert ("generated (preset edge, seed 20240101)" in page.text) is synthetic


def test_caveats_and_unknown_facts_are_shown(make_run):
    facts = {"caveats": ["Selected by <volume>."], "weather": {"sky": "grey"}, "dataset": "plain_name"}
    page = Page(tear_sheet(make_run(facts=facts, metrics={"calmar": 0.75})))

    assert "Selected by <volume>." in page.text
    for word in ("sky", "grey", "calmar", "0.75", "plain_name", "5d41402abc4b…"):
        assert word in page.text


def test_names_stay_names(make_run):
    names = ["<b>X</b>", "</script><script>alert(1)</script>", "\"&amp;'"]
    config = {"strategy": "</title></script><img src=x>", "params": {"note": "</script><i>", "<k>": 1}}
    folder = make_run(assets=names, config=config, facts={"dataset": "<u>d</u>"}, bars=6_000)
    document = tear_sheet(folder)
    page = Page(document)

    assert not {"u", "img"} & {t for t, _ in page.tags}
    assert "alert(1)</script>" not in document and "<b>X" not in document
    assert set(names) <= {row[0] for t in page.tables for row in t}
    assert config["strategy"] in page.text
    hover = " ".join(text for trace in page.figures["trades"]["data"] for text in trace["hovertext"])
    assert "&lt;b&gt;X&lt;/b&gt;" in hover and "<script" not in hover


def test_every_figure_is_valid_plotly(sheet):
    import plotly.graph_objects as go

    assert sheet.figures.keys() == {"equity", "daily", "trades", "histogram"}
    for figure in sheet.figures.values():
        go.Figure(data=figure["data"], layout=figure["layout"])
    divs = {a["data-figure"].removeprefix("figure-") for _, a in sheet.tags if "data-figure" in a}
    assert divs == sheet.figures.keys()


def test_the_curves_are_the_run(folder, sheet):
    equity = pl.read_parquet(folder / "equity.parquet")
    capital_curve, curve, drawdown = sheet.figures["equity"]["data"]

    assert curve["y"] == equity["equity"].to_list()
    assert capital_curve["y"] == equity["capital"].to_list()
    assert min(drawdown["y"]) == -equity["drawdown"].max()
    assert curve["x"][0] == "2024-01-01 00:05:00"
    trades = pl.read_parquet(folder / "trades.parquet")
    drawn = [y for trace in sheet.figures["trades"]["data"] for y in trace["y"]]
    assert sorted(drawn) == sorted(trades["pnl_pct"])
    assert sum(sheet.figures["histogram"]["data"][0]["y"]) == trades.height
    views = sheet.figures["trades"]["views"]
    assert [len(x) for x in views["time"]["data"]["x"]] == [len(x) for x in views["held"]["data"]["x"]]


@pytest.mark.slow
def test_a_million_bars_stay_a_page(make_run):
    folder = make_run(bars=1_000_000, spacing=5 * 10**9, leverage=1.5)
    document = tear_sheet(folder)
    equity = pl.read_parquet(folder / "equity.parquet")
    curve = Page(document).figures["equity"]["data"][1]

    assert len(document.encode()) < 1_500_000
    assert len(curve["y"]) <= 6_000
    assert (min(curve["y"]), max(curve["y"])) == (equity["equity"].min(), equity["equity"].max())


def test_a_run_without_trades(make_run):
    page = Page(tear_sheet(make_run(most_trades=0)))

    assert "No closed trade in this run." in page.text
    assert page.figures.keys() == {"equity", "daily"}
    assert not {"nan", "inf"} & set(page.text.lower().split())


@pytest.mark.parametrize("seed", [1, 3])
def test_a_run_with_one_trade(make_run, seed):
    page = Page(tear_sheet(make_run(most_trades=1, seed=seed)))

    (table,) = [t for t in page.tables if t[0][0] == "Exit reason"]
    assert [row[1] for row in table[1:]] == ["1", "1"]
    assert sum(page.figures["histogram"]["data"][0]["y"]) == 1


def test_a_run_of_one_bar(make_run):
    page = Page(tear_sheet(make_run(bars=1)))

    assert "1 bar" in page.text
    assert page.figures["equity"]["data"][1]["mode"] == "markers"


def test_infinite_profit_factor(make_run):
    page = Page(tear_sheet(make_run(metrics={"profit_factor": "inf", "sharpe_365": "nan"})))

    assert "∞" in page.text


def test_a_ruined_run_says_so(make_run):
    ruined = Page(tear_sheet(make_run("ruined", gap_at=4)))
    alive = Page(tear_sheet(make_run("alive")))

    assert "RUINED" in ruined.text and "no capital was left" in ruined.text
    assert "RUINED" not in alive.text


@pytest.mark.parametrize(
    ("position", "shown"),
    [
        (None, "none"),
        (False, "none"),
        (0, "none"),
        (-1, "SHORT"),
        ({"side": 1, "asset": "SOLUSDT", "qty": 3.5}, "LONG SOLUSDT"),
        ({"side": "SHORT", "asset": "<i>", "qty": 3.5}, "SHORT <i>"),
        ("SHORT XRPUSDT", "SHORT XRPUSDT"),
        ([{"side": -1, "asset": "AUSDT"}, {"side": 1, "asset": "BUSDT"}], "SHORT AUSDT; LONG BUSDT"),
    ],
)
def test_open_position(make_run, position, shown):
    page = Page(tear_sheet(make_run(metrics={"open_position": position})))

    assert shown in page.text.split("Open position")[1]


def test_datetime_stamps_and_numeric_sides_read_the_same(folder):
    before = Page(tear_sheet(folder))
    for name in ("trades", "equity", "digests"):
        path = folder / f"{name}.parquet"
        frame = pl.read_parquet(path).with_columns(pl.from_epoch("ts", time_unit="ns").dt.replace_time_zone("UTC"))
        if name == "trades":
            frame = frame.with_columns(pl.when(pl.col("side") == "LONG").then(1).otherwise(-1).alias("side"))
        frame.write_parquet(path)
    write_manifest(folder)
    after = Page(tear_sheet(folder))

    assert after.figures == before.figures
    assert after.tables == before.tables


FILES = ("config.json", "run.json", "metrics.json", "trades.parquet", "equity.parquet", "digests.parquet")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_a_damaged_file_is_named_in_one_line(folder, name, damage):
    path = folder / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else b"")

    with pytest.raises(DolphinError) as caught:
        tear_sheet(folder)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def _edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        ("metrics.json", lambda d: d.pop("roi"), "roi"),
        ("metrics.json", lambda d: d.update(roi="many"), "roi"),
        ("metrics.json", lambda d: d.update(trades=1_234), "1,234"),
        ("run.json", lambda d: d.pop("synthetic"), "synthetic"),
        ("run.json", lambda d: d.update(synthetic="no"), "synthetic"),
        ("config.json", lambda d: d["config"].pop("account"), "account"),
        ("config.json", lambda d: d["config"]["account"].update(initial_capital=0), "initial_capital"),
        ("config.json", lambda d: d.pop("hash"), "hash"),
    ],
)
def test_an_incomplete_document_is_refused(folder, name, change, word):
    _edit(folder / name, change)
    write_manifest(folder)

    with pytest.raises(DolphinError, match=word):
        tear_sheet(folder)


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        ("equity", lambda f: f.drop("capital"), "capital"),
        ("equity", lambda f: f.with_columns(pl.lit(math.nan).alias("equity")), "bar 0"),
        ("equity", lambda f: f.reverse(), "increase"),
        ("equity", lambda f: f.head(10), "10 rows"),
        ("digests", lambda f: f.head(7), "7 rows"),
        ("trades", lambda f: f.with_columns(pl.lit(None, pl.Float64).alias("pnl")), "trade 0"),
        ("trades", lambda f: f.with_columns(pl.col("ts").cast(pl.String)), "ts"),
        ("trades", lambda f: f.drop("exit_reason"), "exit_reason"),
    ],
)
def test_a_damaged_table_is_refused(folder, name, change, word):
    path = folder / f"{name}.parquet"
    change(pl.read_parquet(path)).write_parquet(path)
    write_manifest(folder)

    with pytest.raises(DolphinError, match=word):
        tear_sheet(folder)


def test_a_missing_folder(tmp_path):
    with pytest.raises(DolphinError, match="no such run folder"):
        tear_sheet(tmp_path / "nowhere")


def test_writing_is_all_or_nothing(folder, tmp_path):
    out = tmp_path / "pages" / "run.html"
    write_tear_sheet(folder, out)
    first = out.read_bytes()
    assert first.startswith(b"<!DOCTYPE html>") and first.decode() == tear_sheet(folder)

    (folder / "metrics.json").unlink()
    with pytest.raises(DolphinError):
        write_tear_sheet(folder, out)
    assert out.read_bytes() == first
    assert [p.name for p in out.parent.iterdir()] == ["run.html"]


def test_a_folder_is_no_page(folder, tmp_path):
    with pytest.raises(DolphinError, match="is a folder"):
        write_tear_sheet(folder, tmp_path)
