"""A sealed holdout is not looked at, an opening is on the chain before it is, and the chain cannot be rewritten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dolphin.catalog import open_dataset
from dolphin.config import Config
from dolphin.errors import Damaged, DolphinError
from dolphin.study.backtest import backtest
from dolphin.study.definition.spec import read_study
from dolphin.study.stress.monte_carlo import stress
from dolphin.study.sweep import sweep
from dolphin.study.trials.holdouts import Holdouts, enter, family_of
from dolphin.study.trials.registry import Registry
from dolphin.times import DAY_NS
from dolphin.workspace import Workspace

STUDY = """\
dataset = "m"
trials = 6
{keys}
[config.params]
vol_gate_mode = "off"
short_threshold = -0.004
[search]
tp_pct = {{ low = 0.001, high = 0.01 }}
[holdout]
days = 1
"""
WriteStudy = Callable[..., Path]


def sealed_home(home: Workspace, write_study: WriteStudy) -> tuple[int, str]:
    """Sweep a study that keeps the last day; the first close of that day, and the study's hash."""
    study = read_study(write_study(STUDY.format(keys=""), "keeps"))
    done = sweep(home, study)
    (entry,) = Holdouts(home).entries()
    assert done.bars == open_dataset(home, "m").n_bars - 1440
    assert Registry(home).trials().collect()["last_ts"].max() < entry["first_ts"]
    return entry["first_ts"], study.hash


def test_a_sweep_keeps_off_its_holdout_and_others_are_refused(
    home: Workspace, write_study: WriteStudy, busy: Config
) -> None:
    first, _ = sealed_home(home, write_study)
    before = Registry(home).trials().collect().height
    for look in (
        lambda: backtest(home, "m", busy),
        lambda: backtest(home, "m", busy, first + DAY_NS // 2),
        lambda: stress(home, "m", busy, runs=2),
        lambda: sweep(home, read_study(write_study(STUDY.format(keys="").partition("[holdout]")[0], "all"))),
    ):
        with pytest.raises(DolphinError, match="are the holdout of study 'keeps' and stay sealed") as caught:
            look()
        assert "\n" not in str(caught.value) and "--open-holdout --reason" in str(caught.value)
    assert Registry(home).trials().collect().height == before
    backtest(home, "m", busy, None, first)  # what lies before it may be looked at
    sweep(home, read_study(write_study(STUDY.format(keys=""), "keeps")), resume=True)
    assert len(Holdouts(home).entries()) == 1


def test_an_opening_is_written_before_it_is_read(
    home: Workspace, write_study: WriteStudy, busy: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = sealed_home(home, write_study)

    def never(*_: object) -> None:
        entry = Holdouts(home).entries()[-1]
        assert (entry["action"], entry["reason"], entry["config_hash"]) == ("open", "a look", busy.hash)
        raise RuntimeError("the machine stops here")

    with monkeypatch.context() as patch:
        patch.setattr("dolphin.study.backtest.run", never)
        with pytest.raises(RuntimeError):
            backtest(home, "m", busy, first, open_holdout="a look")
    backtest(home, "m", busy, first)  # it stays open for this family
    entries = Holdouts(home).entries()
    assert [e["action"] for e in entries] == ["declare", "open"] and entries[1]["family"] == busy.hash
    with pytest.raises(DolphinError, match="stay sealed"):
        backtest(home, "m", busy.with_values({"tp_pct": 0.003}), first)


def test_a_family_is_the_study_that_met_it(home: Workspace, write_study: WriteStudy, busy: Config) -> None:
    first, study_hash = sealed_home(home, write_study)
    met = Registry(home).trials().collect()["config_hash"][2]
    assert family_of(home, met) == study_hash and family_of(home, busy.hash) == busy.hash
    dataset = open_dataset(home, "m")
    enter(home, dataset, first, dataset.last_ts, config_hash=met, reason="the study's")
    enter(home, dataset, first, dataset.last_ts, config_hash=Registry(home).trials().collect()["config_hash"][3])


def test_a_window_that_reaches_into_it_is_refused(home: Workspace, write_study: WriteStudy) -> None:
    study = read_study(write_study(STUDY.format(keys='to = "2025-01-03T12:00"'), "reaches"))
    with pytest.raises(DolphinError, match=r"the window reaches into the \[holdout\]"):
        sweep(home, study)
    assert not Holdouts(home).path.exists()


def test_a_changed_line_is_found(home: Workspace, write_study: WriteStudy, busy: Config) -> None:
    first, _ = sealed_home(home, write_study)
    path = Holdouts(home).path
    text = path.read_text()
    path.write_text(text.replace('"first_ts":', '"first_ts": '))
    with pytest.raises(Damaged, match="line 1 was changed"):
        backtest(home, "m", busy, first)
    path.write_text(text.replace("keeps", "kepts"))
    with pytest.raises(Damaged, match="line 1 was changed"):
        Holdouts(home).entries()
    path.write_text(text + '{"torn')  # never counted
    assert len(Holdouts(home).entries()) == 1
    backtest(home, "m", busy, first, open_holdout="after the crash")
    assert len(Holdouts(home).entries()) == 2
