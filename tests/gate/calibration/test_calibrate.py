"""Markets whose truth is known, and a calibration that goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dolphin.catalog import generate, open_dataset
from dolphin.errors import DolphinError
from dolphin.gate.calibration import calibrate as module
from dolphin.gate.calibration.bench import Bench
from dolphin.gate.calibration.calibrate import calibrate
from dolphin.gate.calibration.markets import Kind, Maker, kinds_of
from dolphin.gate.calibration.summary import clopper_pearson
from dolphin.gate.policy import read_policy
from dolphin.gate.trust import own_error
from dolphin.market.assemble import open_market
from dolphin.study.definition.spec import Study, read_study
from dolphin.workspace import Workspace, create

STUDY = """\
dataset = "e"
to = "2025-01-10"
trials = 12
min_trades = 2
[config.params]
vol_gate_mode = "off"
vol_p60 = "p60"
[search]
short_threshold = { low = -0.05, high = -0.005 }
max_hold_bars = { low = 5, high = 60, step = 5 }
"""
SPACING = 300 * 10**9


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = create(tmp_path_factory.mktemp("calibrate") / "w")
    generate(made, "e", preset="null", days=16, assets=8, spacing_ns=SPACING, seed=3)
    (made.experiments / "s.toml").write_text(STUDY)
    return made


@pytest.fixture(scope="module")
def study(home: Workspace) -> Study:
    return read_study(home.experiments / "s.toml")


def test_markets_are_what_they_say(home: Workspace, study: Study) -> None:
    market = open_market(open_dataset(home, "e"), study.config)
    maker = Maker(market, study.config, SPACING)
    shift, flat, boot, broad = (maker.make(kind, 1, 7) for kind in kinds_of(["shift", "shiftd", "boot", "broad@5"]))
    assert shift.price is market.price and not np.array_equal(shift.features, market.features, equal_nan=True)
    assert np.array_equal(np.sort(shift.features, axis=0), np.sort(market.features, axis=0), equal_nan=True)
    assert flat.log_price[-1] == pytest.approx(flat.log_price[0], abs=1e-9)
    bars = 288
    steps = np.diff(boot.log_price, axis=0)
    assert len(boot.ts) == 16 * bars and np.isfinite(boot.price).all()
    real = np.diff(market.log_price[: 16 * bars], axis=0)
    day = steps[bars : 2 * bars - 1] + real.mean(axis=0)
    assert any(np.allclose(day, real[k * bars : (k + 1) * bars - 1], atol=1e-5) for k in range(16))
    # An edge falls after its triggers and rises elsewhere, and ends where it would have without.
    column = study.config.strategy.columns.index("vel_div")
    fires = np.flatnonzero(broad.features[:, column] < -0.03)
    assert len(fires)
    again = maker.make(Kind("broad", 5.0), 1, 7)
    assert np.array_equal(again.price, broad.price)
    without = maker.make(Kind("broad", 0.0), 1, 7)
    fall = np.diff(broad.log_price - without.log_price, axis=0)[:, 0]
    struck = np.zeros(len(broad.ts), bool)
    for bar in fires:
        struck[bar + 1 : bar + 51] = True
    apart = fall[~struck[1:]].mean() - fall[struck[1:]].mean()
    assert apart == pytest.approx(5e-4, abs=1e-9) and np.ptp(fall[struck[1:]]) == pytest.approx(0.0, abs=1e-9)
    assert (broad.log_price[-1] - without.log_price[-1])[0] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.slow
def test_a_calibration_is_resumed_and_quoted(home: Workspace, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_error(home, read_policy(home))["status"].startswith("not measured here")
    calls: list[tuple[Kind, int]] = []
    row = Bench.row

    def counted(self: Bench, kind: Kind, number: int) -> Any:
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append((kind, number))
        return row(self, kind, number)

    monkeypatch.setattr(Bench, "row", counted)
    with pytest.raises(KeyboardInterrupt):
        calibrate(home, study, markets=2)
    assert not (home.promote / module.FILE).exists()
    monkeypatch.setattr(Bench, "row", row)
    found = calibrate(home, study, markets=2)
    assert {kind: about["markets"] for kind, about in found["kinds"].items()} == {"shift": 2, "boot": 2}
    assert found["trials"] == 12 and all(0.0 <= about["share"] <= 1.0 for about in found["kinds"].values())
    more = calibrate(home, study, kinds=["shift"], markets=3, reruns=0)
    assert more["kinds"]["shift"]["markets"] == 3 and more["kinds"]["boot"] == found["kinds"]["boot"]
    written = json.loads((home.promote / module.FILE).read_text())
    assert written["policy_sha256"] == read_policy(home).sha256
    quoted = own_error(home, read_policy(home))
    assert quoted["status"] == "measured for this policy" and "of 5 markets without an edge" in quoted["words"]
    text = (home.promote / "policy.toml").read_text()
    try:
        (home.promote / "policy.toml").write_text(text + "\n# another file\n")
        assert own_error(home, read_policy(home))["status"].startswith("stale: measured for another policy")
    finally:
        (home.promote / "policy.toml").write_text(text)
    floors = (home.promote / "floors.toml").read_text()
    try:
        (home.promote / "floors.toml").write_text(floors + "\n# another file\n")
        assert own_error(home, read_policy(home))["status"].startswith("stale: measured for other floors")
    finally:
        (home.promote / "floors.toml").write_text(floors)


@pytest.mark.slow
def test_own_reruns_and_a_generated_market(home: Workspace, study: Study) -> None:
    found = calibrate(home, study, kinds=["null"], markets=2, reruns=19)
    assert found["reruns"] == 19 and found["kinds"]["null"]["markets"] == 2


@pytest.mark.parametrize(
    ("keys", "options", "message"),
    [
        ("", {"kinds": ["shaft"]}, "unknown kind 'shaft'; did you mean 'shift'?"),
        ("", {"kinds": ["boot@2"]}, "'boot@2' is no kind; a planted edge's size stands behind it"),
        ("", {"kinds": ["broad"]}, "planted edges are ranked among markets of the kind boot"),
        ('sampler = "cmaes"\n', {}, "the cmaes sampler learns"),
    ],
)
def test_what_cannot_be_calibrated_is_one_line(
    home: Workspace, tmp_path: Path, keys: str, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "s.toml").write_text(keys + STUDY)
    with pytest.raises(DolphinError) as caught:
        calibrate(home, read_study(tmp_path / "s.toml"), markets=2, **options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_no_bars_left_to_judge_on(home: Workspace, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(STUDY.replace('to = "2025-01-10"\n', ""))
    with pytest.raises(DolphinError, match="no bars are left after the study's window"):
        calibrate(home, read_study(tmp_path / "s.toml"), markets=2)


def test_clopper_pearson() -> None:
    assert clopper_pearson(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert clopper_pearson(44, 1120) == pytest.approx((0.0286, 0.0524), abs=5e-4)
    assert clopper_pearson(10, 10)[1] == 1.0
