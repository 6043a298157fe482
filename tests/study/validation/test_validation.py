"""Validation: folds equal single runs, borders let nothing through, an interrupt changes nothing."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typed_documents import is_typed

from dolphin.catalog import generate, open_dataset, parse_time
from dolphin.catalog.ingest.importer import import_klines
from dolphin.config import parse_config, read_config
from dolphin.core.records import DAY_NS
from dolphin.errors import DolphinError
from dolphin.files import json_value, read_json
from dolphin.market.assemble import feature_columns
from dolphin.study.backtest import backtest
from dolphin.study.definition.spec import read_study
from dolphin.study.measure.evaluator import LocalEvaluator
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.trials.registry import Registry
from dolphin.study.validation.documents import ValidationDocument
from dolphin.study.validation.pooled import pooled
from dolphin.study.validation.stitching import distribution
from dolphin.study.validation.validation import ValidationReport, plan_folds, validate
from dolphin.workspace import Workspace, create

MINUTES = 60 * 10**9
SPACING = 5 * MINUTES
DAYS = 30

STUDY = """\
dataset = "{dataset}"
sampler = {sampler}
trials = {trials}
seed = 3
min_trades = {min_trades}
objective = "{objective}"
[config.params]
direction = "bidirectional"
short_extreme = -0.05
long_extreme = 0.05
long_threshold = 0.004
vol_p60 = "p60"
[search]
short_threshold = {{ low = -0.02, high = -0.002 }}
tp_pct = {{ low = 0.002, high = 0.02 }}
max_hold_bars = {{ low = 10, high = 60 }}
vol_gate_mode = {{ choices = ["min", "off"] }}
[validation]
{validation}
"""
GRID = (
    STUDY.replace("low = -0.02, high = -0.002", "choices = [-0.01, -0.004]")
    .replace("low = 0.002, high = 0.02", "choices = [0.004, 0.01]")
    .replace("low = 10, high = 60", "choices = [30]")
)
WALK = 'scheme = "walk_forward"\ntrain = 10\ntest = 5'
KFOLD = 'scheme = "kfold"\nfolds = 3'
COMBINATORIAL = 'scheme = "combinatorial"\nfolds = 5\ntest_folds = 2\nembargo = 1100'


@pytest.fixture(scope="session")
def long_market(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with the scanned dataset ``v``: 30 days of 5-minute bars; nobody writes into it."""
    home = create(tmp_path_factory.mktemp("long"))
    generate(home, "v", preset="edge", days=DAYS, assets=6, spacing_ns=SPACING, seed=5)
    feature_columns(open_dataset(home, "v"))
    return home


@pytest.fixture
def home(long_market: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(long_market.root, tmp_path / "home")
    return Workspace(tmp_path / "home")


def judge(
    home: Workspace,
    validation: str,
    *,
    dataset: str = "v",
    sampler: str = '"sobol"',
    trials: int = 24,
    min_trades: int = 5,
    objective: str = "sharpe_365",
    text: str = STUDY,
    **options: Any,
) -> ValidationReport:
    path = home.root / "look.toml"
    path.write_text(
        text.format(
            dataset=dataset,
            sampler=sampler,
            trials=trials,
            min_trades=min_trades,
            objective=objective,
            validation=validation,
        )
    )
    study = read_study(path)
    with LocalEvaluator(open_dataset(home, dataset), threads=1) as evaluator:
        return validate(home, study, evaluator, Registry(home), **options)


def by_hand(home: Workspace, document: dict[str, Any], span: dict[str, Any], name: str = "v") -> Any:
    config = parse_config({k: v for k, v in document.items() if v is not None}, where="x")
    return backtest(home, name, config, parse_time(span["from"]), parse_time(span["to"]))


def looks(home: Workspace, role: str) -> pl.DataFrame:
    return Registry(home).trials().filter(pl.col("role") == role, pl.col("state") == "done").collect()


def test_a_walk_forward_is_its_single_runs(home: Workspace) -> None:
    report = judge(home, WALK)
    document = read_json(home.experiments / "look" / "validation.json")
    assert document == json.loads(json.dumps(report.document)) and is_typed(document, ValidationDocument)
    equity = pl.read_parquet(home.experiments / "look" / "oos_equity.parquet")
    assert [f["train"][0]["from"][:10] for f in document["folds"]][1:] == ["2025-01-05", "2025-01-10", "2025-01-15"]
    assert len(document["folds"]) == 4 and len(document["paths"]) == 1
    searched, tested = looks(home, "search"), looks(home, "test")
    assert searched.group_by("fold", maintain_order=True).len()["len"].to_list() == [24] * 4
    assert tested["fold"].to_list() == [0, 1, 2, 3]
    curve, gain, loss = [25_000.0], 0.0, 0.0
    for fold in document["folds"]:
        # The choice is the best of the fold's own looks, and p60 is of its train rows alone.
        mine = searched.filter(pl.col("fold") == fold["number"], pl.col("trades") >= 5)
        best = mine.sort(["sharpe_365", "trial"], descending=[True, False]).row(0, named=True)
        assert fold["chosen"]["config_hash"] == best["config_hash"] and fold["chosen"]["trial"] == best["trial"]
        vol = feature_columns(open_dataset(home, "v"))["vol"]
        ts = open_dataset(home, "v").prices().ts
        rows = (ts >= fold["train"][0]["first_ts"]) & (ts <= fold["train"][0]["last_ts"])
        assert fold["chosen"]["config"]["params"]["vol_p60"] == np.nanpercentile(vol[rows], 60.0)
        # Both sides are what a backtest by hand gives, by bits.
        train = by_hand(home, fold["chosen"]["config"], fold["train"][0])
        test = by_hand(home, fold["chosen"]["config"], fold["test"][0])
        for single, found in ((train, fold["train_metrics"]), (test, fold["test_metrics"])):
            assert {name: json_value(single.metrics[name]) for name in ALL_METRICS} == found
        part = equity.filter(pl.col("fold") == fold["number"])
        assert part["return"].to_numpy().tobytes() == test.daily_returns.tobytes()
        assert part["ts"][-1] == fold["test"][0]["last_ts"]
        # Compounding: every test run is scaled to the equity that the one before it left.
        begin = curve[-1]
        ends = np.flatnonzero(np.diff((test.market.ts[test.start : test.stop] - 1) // DAY_NS, append=-1))
        curve += (begin * test.recording.equity[ends] / 25_000.0).tolist()
        gain, loss = gain + test.metrics["gross_win"], loss + test.metrics["gross_loss"]
        objective = fold["objective"]
        assert objective["degradation"] == objective["train"] - objective["test"]
    np.testing.assert_allclose(equity["equity"].to_numpy(), curve[1:], rtol=1e-12)
    stitched = document["stitched"]
    assert stitched["profit_factor"] == pytest.approx(gain / loss, rel=1e-12)
    assert stitched["roi"] == pytest.approx(curve[-1] / 25_000.0 - 1.0, rel=1e-12)
    days = equity["return"].to_numpy()
    assert stitched["sharpe_365"] == pytest.approx(days.mean() / days.std(ddof=1) * math.sqrt(365.0), rel=1e-12)
    inside = np.concatenate([j.train[0].daily_returns[0] for j in report.results])
    assert document["efficiency"]["efficiency"] == pytest.approx(days.mean() / inside.mean(), rel=1e-12)
    # best.toml is the choice of the newest train window, and says so.
    best_toml = home.experiments / "look" / "best.toml"
    assert "newest train window, 2025-01-15" in best_toml.read_text().splitlines()[0]
    assert read_config(best_toml).hash == document["folds"][-1]["chosen"]["config_hash"]


@pytest.mark.parametrize(
    ("validation", "sampler"),
    [
        (WALK + "\nanchored = true\npurge = 100", '{ name = "halving", cohort = 12, rungs = 2, eta = 2 }'),
        ('scheme = "holdout"\nshare = 0.4', '{ name = "cmaes", population = 6 }'),
        ('scheme = "holdout"\npurge = 61', '"grid"'),
    ],
)
def test_every_sampler_chooses_the_best_it_looked_at(home: Workspace, validation: str, sampler: str) -> None:
    report = judge(home, validation, sampler=sampler, text=GRID if "grid" in sampler else STUDY)
    searched = looks(home, "search")
    for fold in report.document["folds"]:
        (train,), (test,) = fold["train"], fold["test"]
        mine = searched.filter(pl.col("fold") == fold["number"], pl.col("trades") >= 5)
        best = mine.sort(["sharpe_365", "trial"], descending=[True, False]).row(0, named=True)
        assert fold["chosen"]["config_hash"] == best["config_hash"]
        assert (best["first_ts"], best["last_ts"]) == (train["first_ts"], train["last_ts"])
        assert test["first_ts"] - train["last_ts"] == SPACING * (1 + report.document["purge_bars"])
        if "anchored" in validation:
            assert train["from"] == report.document["window"]["from"]
        for span, found in ((train, fold["train_metrics"]), (test, fold["test_metrics"])):
            single = by_hand(home, fold["chosen"]["config"], span)
            assert {name: json_value(single.metrics[name]) for name in ALL_METRICS} == found


def test_a_fold_of_kfold_trains_on_its_pooled_spans(home: Workspace) -> None:
    report = judge(home, KFOLD)
    middle = report.document["folds"][1]
    assert len(middle["train"]) == 2 and report.document["embargo_bars"] == 751 + 288 + 52
    assert report.document["purge_bars"] <= 61 and report.document["purge_bars"] > 50
    pieces = [report.results[1].train[k] for k in range(2)]
    for piece, span in zip(pieces, middle["train"], strict=True):
        single = by_hand(home, middle["chosen"]["config"], span)
        assert piece.daily_returns[0].tobytes() == single.daily_returns.tobytes()
        assert piece.metrics["trades"][0] == single.metrics["trades"]
    score = {name: values[0].item() for name, values in pooled(pieces).items()}
    assert {name: json_value(value) for name, value in score.items()} == middle["train_metrics"]
    # No other candidate would have been better.
    spans = [(s["first_ts"], s["last_ts"]) for s in middle["train"]]
    rows = looks(home, "search").filter(pl.col("config_hash") != middle["chosen"]["config_hash"])
    for (_,), own in rows.filter(pl.col("first_ts").is_in([s[0] for s in spans])).group_by(["config_hash"]):
        mine = [own.filter(pl.col("first_ts") == a, pl.col("last_ts") == b) for a, b in spans]
        if any(part.is_empty() for part in mine) or sum(part["trades"][0] for part in mine) < 5:
            continue
        days = np.concatenate([part["daily_returns"][0].to_numpy() for part in mine])
        assert days.mean() / days.std(ddof=1) * math.sqrt(365.0) <= score["sharpe_365"] * (1 + 1e-12) or days.std() == 0
    assert report.newest is None and not (home.experiments / "look" / "best.toml").exists()


def test_combinatorial_paths(home: Workspace) -> None:
    report = judge(home, COMBINATORIAL)
    document = report.document
    assert is_typed(document, ValidationDocument)
    assert len(document["folds"]) == 10 and len(document["paths"]) == 4
    equity = report.equity
    for path in document["paths"]:
        part = equity.filter(pl.col("path") == path["number"])
        assert part["ts"].is_sorted() and part["ts"].n_unique() == part.height == DAYS + 1 == path["days"]
        assert part["equity"][-1] == pytest.approx(25_000.0 * (1.0 + path["metrics"]["roi"]), rel=1e-12)
    sharpes = [path["metrics"]["sharpe_365"] for path in document["paths"]]
    assert document["distribution"]["sharpe_365"]["q50"] == pytest.approx(np.median(sharpes), rel=1e-12)
    # Equal spans are looked at once: five whole blocks and those cut on either side.
    spans = looks(home, "search").select("first_ts", "last_ts", "config_hash")
    assert spans.height == spans.unique().height
    assert distribution([{"metrics": {"profit_factor": "inf"}}]) == {}


def noisy(home: Workspace, name: str, first: int, last: int) -> None:
    """Dataset ``name``: ``v`` with other prices on closes ``first <= ts < last``."""
    dataset = open_dataset(home, "v")
    frame = dataset.frame().collect().sort("symbol", "ts")
    rng = np.random.default_rng(8)
    inside = frame["ts"].is_between(first, last, closed="left").to_numpy()
    factor = np.where(inside, np.exp(0.02 * rng.standard_normal(frame.height)), 1.0)
    frame = frame.with_columns(
        *(pl.col(k) * factor for k in ("open", "high", "low", "close")), ts=(pl.col("ts") - SPACING) // 10**6
    )
    source = home.root / f"{name}-source"
    source.mkdir()
    frame.write_parquet(source / "all.parquet")
    table = {
        i.symbol: {
            "price_precision": i.price_precision,
            "price_tick": i.tick_num / 10**i.tick_exp,
            "lot_step": i.lot_num / 10**i.lot_exp,
            "min_notional": i.min_notional,
        }
        for i in dataset.instruments
    }
    (home.root / f"{name}.json").write_text(json.dumps(table))
    import_klines(home, source, name, spacing_ns=SPACING, instruments=home.root / f"{name}.json")


MEASURED = ["config_hash", "first_ts", "last_ts", *ALL_METRICS, "exits", "daily_returns"]


def trained(home: Workspace, dataset: str, report: ValidationReport, fold: int) -> pl.DataFrame:
    """Every look of the search on the train spans of a fold."""
    spans = [(s["first_ts"], s["last_ts"]) for s in report.document["folds"][fold]["train"]]
    rows = looks(home, "search").filter(pl.col("dataset") == dataset)
    mine = [rows.filter(pl.col("first_ts") == a, pl.col("last_ts") == b) for a, b in spans]
    hashes = {c.hash for c in [report.results[fold].chosen] if c is not None}
    p60 = pl.col("config").str.json_path_match("$.params.vol_p60")
    found = pl.concat(mine)
    wanted = found.filter(pl.col("config_hash").is_in(hashes)).select(p60).unique()
    return found.filter(p60.is_in(wanted.to_series().to_list())).select(MEASURED)


def test_a_walk_forward_never_sees_what_comes_after_its_train_window(home: Workspace) -> None:
    before = judge(home, WALK)
    folds = before.document["folds"]
    noisy(home, "w", folds[2]["test"][0]["first_ts"], folds[3]["test"][0]["last_ts"] + 1)
    after = judge(home, WALK, dataset="w")
    for k in range(3):
        assert after.document["folds"][k]["chosen"] == folds[k]["chosen"]
        assert after.document["folds"][k]["train_metrics"] == folds[k]["train_metrics"]
        ours, theirs = trained(home, "v", before, k), trained(home, "w", after, k)
        assert ours.height == 24 and ours.equals(theirs, null_equal=True)
    # The change was no small one: everything that may see it does.
    assert after.document["folds"][2]["test_metrics"] != folds[2]["test_metrics"]
    assert after.document["folds"][3]["train_metrics"] != folds[3]["train_metrics"]


@pytest.mark.slow
def test_purge_and_embargo_keep_the_judged_block_from_the_choice(home: Workspace) -> None:
    before = judge(home, KFOLD)
    middle = before.document["folds"][1]
    purge = before.document["purge_bars"] * SPACING
    first, last = middle["test"][0]["first_ts"] - purge, middle["test"][0]["last_ts"] + purge
    noisy(home, "w", first, last + 1)
    after = judge(home, KFOLD, dataset="w")
    again = after.document["folds"][1]
    assert (again["chosen"], again["train_metrics"]) == (middle["chosen"], middle["train_metrics"])
    assert again["test_metrics"] != middle["test_metrics"]
    ours, theirs = trained(home, "v", before, 1), trained(home, "w", after, 1)
    assert ours.height == 48 and ours.equals(theirs, null_equal=True)
    # Without the embargo the same change is seen through the features.
    bare = 'scheme = "kfold"\nfolds = 3\nembargo = 0'
    open_before, open_after = judge(home, bare), judge(home, bare, dataset="w")
    assert not trained(home, "v", open_before, 1).select("roi").equals(trained(home, "w", open_after, 1).select("roi"))


OWN_FEATURE = """
from dataclasses import replace
from dolphin.core.jit import inline
from dolphin.features import Feature
from dolphin.strategies.vel_div import VEL_DIV, features

@inline
def update(state, bar, out):
    out[0] = 2.0 * bar.price[0]

MINE = Feature("mine", update, memory=0, warmup_bars={warmup})

def with_mine(params):
    return features(params) | {{"mine": MINE}}

OWN = replace(VEL_DIV, features=with_mine)
"""


@pytest.mark.slow
def test_an_embargo_covers_the_warm_up_of_plugins(home: Workspace) -> None:
    """6,050 bars of a feature of one's own were once left out of the scanner's 1,091."""
    found = []
    for warmup in (1, 601):
        home.research.mkdir(exist_ok=True)
        (home.research / f"own_{warmup}.py").write_text(OWN_FEATURE.format(warmup=warmup))
        path = home.root / f"own_{warmup}.toml"
        text = STUDY.format(
            dataset="v", sampler='"sobol"', trials=4, min_trades=1, objective="sharpe_365", validation=KFOLD
        )
        path.write_text(text.replace("[config.params]", f'[config]\nstrategy = "own_{warmup}:OWN"\n\n[config.params]'))
        with LocalEvaluator(open_dataset(home, "v"), threads=1) as evaluator:
            found.append(plan_folds(read_study(path, home.research), evaluator).embargo)
    assert found[1] - found[0] == 600


@pytest.mark.parametrize(
    ("validation", "sampler"),
    [(WALK, '"sobol"'), (WALK, '{ name = "cmaes", population = 8 }'), (KFOLD, '"random"')],
)
def test_an_interrupted_validation_goes_on_as_if_nothing_had_been(
    home: Workspace, tmp_path: Path, validation: str, sampler: str
) -> None:
    shutil.copytree(home.root, tmp_path / "other")
    whole = judge(Workspace(tmp_path / "other"), validation, sampler=sampler)
    calls = 0

    def interrupt(done: int, total: int, stage: str) -> None:
        nonlocal calls
        calls += stage.startswith("fold")
        if stage == "fold 1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge(home, validation, sampler=sampler, progress=interrupt)
    assert calls and not (home.experiments / "look" / "validation.json").exists()
    kept = looks(home, "search").height
    assert kept >= 24
    resumed = judge(home, validation, sampler=sampler, resume=True)
    assert resumed.document == whole.document and resumed.equity.equals(whole.equity)
    for name in ("validation.json", "oos_equity.parquet"):
        ours, theirs = (root / "experiments" / "look" / name for root in (home.root, tmp_path / "other"))
        assert ours.read_bytes() == theirs.read_bytes()
    columns = ["fold", "trial", "role", *MEASURED]
    for role in ("search", "test"):
        rows, expected = looks(home, role), looks(Workspace(tmp_path / "other"), role)
        order = ["first_ts", "last_ts", "trial"]
        assert rows.select(columns).sort(order).equals(expected.select(columns).sort(order), null_equal=True)
    counted = looks(home, "search").height
    judge(home, validation, sampler=sampler, resume=True)
    assert looks(home, "search").height == counted


def test_without_resume_everything_is_looked_at_again(home: Workspace) -> None:
    judge(home, WALK)
    judge(home, WALK)
    assert looks(home, "search").height == 2 * 4 * 24 and looks(home, "test").height == 8


def test_other_folds_under_a_resumed_search_are_refused(home: Workspace) -> None:
    judge(home, WALK, sampler='"tpe"', trials=8)
    with pytest.raises(DolphinError, match="look: fold 1 was searched over other bars"):
        judge(home, WALK.replace("test = 5", "test = 4"), sampler='"tpe"', trials=8, resume=True)


def test_a_fold_without_a_choice_stays_flat(home: Workspace) -> None:
    report = judge(home, WALK, min_trades=10_000)
    assert all(fold["chosen"] is None for fold in report.document["folds"])
    assert is_typed(report.document, ValidationDocument)
    assert report.equity["return"].to_list() == [0.0] * report.equity.height and report.newest is None
    assert report.document["efficiency"]["efficiency"] is None
    assert looks(home, "test").is_empty()


@pytest.mark.slow
def test_a_market_without_an_edge_is_worse_out_of_sample(tmp_path: Path) -> None:
    home = create(tmp_path / "null")
    generate(home, "v", preset="null", days=42, assets=6, spacing_ns=SPACING, seed=11)
    report = judge(home, WALK, trials=64)
    pairs = [(f["objective"]["train"], f["objective"]["test"]) for f in report.document["folds"] if f["chosen"]]
    train, test = np.array(pairs, np.float64).T
    assert len(pairs) == 6 and np.median(test) < np.median(train) and (test < train).mean() >= 0.75
    assert report.document["efficiency"]["efficiency"] < 0.5


@pytest.mark.parametrize(
    ("validation", "options", "said"),
    [
        (WALK.replace("10", "40"), {}, "31 days are too few for this validation: it needs 40 [+] 5 days"),
        ('scheme = "kfold"\nfolds = 2\nembargo = 5000', {}, "31 days are too few .* purge and embargo"),
        (KFOLD, {"objective": "turnover"}, "look: .*objective 'turnover' is not defined over stretches"),
        (KFOLD, {"sampler": '"tpe"'}, "kfold compares the same candidates in every fold, and sampler 'tpe' does not"),
        (WALK + "\nstep = 3", {}, "step = 3 is shorter than test = 5: days would be judged twice"),
        (WALK.replace("10", "2"), {}, "fold 0 trains on bars 0 to 289, all within the warm-up of 752"),
        (WALK.replace("walk_forward", "walk"), {}, "unknown scheme 'walk'"),
    ],
)
def test_bad_input_is_one_line(home: Workspace, validation: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(DolphinError, match=said) as caught:
        judge(home, validation, **options)
    assert "\n" not in str(caught.value)
    assert not (home.experiments / "look").exists() and looks(home, "search").is_empty()


BLIND = """\
from dataclasses import replace
from dolphin.strategies.vel_div import VEL_DIV
BLIND = replace(VEL_DIV, name="blind", horizon_bars=None)
FAR = replace(VEL_DIV, name="far", horizon_bars=lambda params: 2 * params.max_hold_bars)
"""


@pytest.mark.slow
def test_the_purge_is_what_the_strategy_declares(home: Workspace) -> None:
    (home.research / "own_reach.py").write_text(BLIND)
    for name, purge in (("FAR", 60), (None, 31)):
        strategy = f'[config]\nstrategy = "own_reach:{name}"\n' if name else ""
        found = judge(home, KFOLD, sampler='"grid"', text=GRID.replace("[config.params]", f"{strategy}[config.params]"))
        assert found.document["purge_bars"] == purge
    blind = GRID.replace("[config.params]", '[config]\nstrategy = "own_reach:BLIND"\n[config.params]')
    said = "needs to know how far a decision of strategy 'blind' reaches; declare Strategy.horizon_bars=lambda params"
    with pytest.raises(DolphinError, match=said):
        judge(home, KFOLD, sampler='"grid"', text=blind)
    numbered = judge(home, KFOLD + "\npurge = 31", sampler='"grid"', text=blind)
    assert numbered.document["purge_bars"] == 31
