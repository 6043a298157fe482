from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.config import parse_config, parse_value, read_config, to_toml
from dolphin.core.records import FRICTION
from dolphin.errors import DolphinError

SPEC_PARAMS = {
    "direction": "short_only",
    "vel_div": "v50-v750",
    "short_threshold": -0.02,
    "short_extreme": -0.05,
    "long_threshold": 0.02,
    "long_extreme": 0.05,
    "vol_gate_mode": "min",
    "vol_p60": 0.000099,
    "vol_ewma": False,
    "rank_lookback": 50,
    "min_alignment": 0.0,
    "base_leverage": 1.0,
    "convexity": 1,
    "fraction": 1.0,
    "tp_pct": 0.0095,
    "stop_pct": 0.0,
    "max_hold_bars": 125,
    "adverse_turn_drop": 0.2,
    "acb_day_reset": False,
    "maintenance_margin": 0.005,
    "max_stale_bars": 5,
}


def written(tmp_path: Path, text: str, suffix: str = "toml") -> Path:
    path = tmp_path / f"c.{suffix}"
    path.write_text(text)
    return path


def test_the_defaults_are_the_specification() -> None:
    document = parse_config({}, where="x").document()
    assert document["strategy"] == "vel_div" and document["preset"] is None
    assert {key: document["params"][key] for key in SPEC_PARAMS} == SPEC_PARAMS
    assert set(document["params"]) == {*SPEC_PARAMS, "soft_cap", "abs_cap"}
    assert document["friction"] == {
        "slippage_bps": 2.0,
        "fee_bps": 2.0,
        "maker_fee_bps": 2.0,
        "fill_timing": "close",
        "fill_model": "scan_price",
        "volume_share": 0.1,
    }
    assert document["account"] == {"initial_capital": 25_000.0, "cross_maintenance": 0.005}


@pytest.mark.parametrize(
    ("preset", "values"),
    [
        ("champion_2026_03", {"soft_cap": 6.0, "abs_cap": 6.0, "tp_pct": 0.0095}),
        ("v2_gold_fix", {"soft_cap": 8.0, "abs_cap": 9.0, "tp_pct": 0.0095}),
        ("legacy_99", {"tp_pct": 0.0099}),
    ],
)
def test_presets(preset: str, values: dict[str, float]) -> None:
    params = parse_config({"preset": preset}, where="x").document()["params"]
    assert {key: params[key] for key in values} == values


def test_file_wins_over_preset_and_set_over_file(tmp_path: Path) -> None:
    path = written(tmp_path, 'preset = "v2_gold_fix"\n[params]\nabs_cap = 7.0\ntp_pct = 0.01\n')
    config = read_config(path, overrides={"tp_pct": 0.02, "friction.fee_bps": 3, "initial_capital": 1e4})
    params = config.document()["params"]
    assert (params["soft_cap"], params["abs_cap"], params["tp_pct"]) == (8.0, 7.0, 0.02)
    assert config.friction.fee_bps == 3.0 and config.account.initial_capital == 1e4


@given(st.permutations(sorted(SPEC_PARAMS)), st.permutations(["slippage_bps", "fee_bps", "fill_timing"]))
def test_the_hash_does_not_depend_on_key_order(params: list[str], friction: list[str]) -> None:
    plain = parse_config({}, where="x")
    frictions = plain.document()["friction"]
    table = {
        "friction": {key: frictions[key] for key in friction},
        "params": {key: SPEC_PARAMS[key] for key in params},
    }
    assert parse_config(table, where="y").hash == plain.hash


def test_the_hash_is_of_values_not_of_the_preset_name() -> None:
    named = parse_config({"preset": "legacy_99"}, where="x")
    spelled = parse_config({"params": {"tp_pct": 0.0099}}, where="x")
    assert named.hash == spelled.hash and named.document() != spelled.document()
    assert named.hash != parse_config({}, where="x").hash
    assert len(named.hash) == 64


@pytest.mark.parametrize(
    "values",
    [
        {"tp_pct": 0.00951},
        {"acb_day_reset": True},
        {"vel_div": "v50-v150"},
        {"fee_bps": 3.0},
        {"fill_timing": "next"},
        {"initial_capital": 25_000.01},
    ],
)
def test_every_value_counts_in_the_hash(values: dict[str, Any]) -> None:
    plain = parse_config({}, where="x")
    assert plain.with_values(values).hash != plain.hash


@given(
    st.fixed_dictionaries(
        {
            "direction": st.sampled_from(["short_only", "long_only", "bidirectional"]),
            "tp_pct": st.floats(1e-6, 10.0),
            "short_threshold": st.floats(-0.049, -1e-9),
            "vol_p60": st.floats(0.0, 1.0),
            "max_hold_bars": st.integers(1, 10_000_000),
            "acb_day_reset": st.booleans(),
        }
    ),
    st.floats(0.0, 1000.0),
)
def test_toml_round_trip(params: dict[str, Any], fee: float) -> None:
    import tomllib

    config = parse_config({"preset": "legacy_99", "params": params, "friction": {"fee_bps": fee}}, where="x")
    again = parse_config(tomllib.loads(to_toml(config.document())), where="y")
    assert again.document() == config.document() and again.hash == config.hash


def test_yaml_of_the_same_keys_is_the_same_config(tmp_path: Path) -> None:
    toml = written(tmp_path, '[params]\nvol_gate_mode = "off"\nvol_p60 = 1e-5\nacb_day_reset = true\n')
    yaml = written(tmp_path, "params:\n  vol_gate_mode: off\n  vol_p60: 1e-5\n  acb_day_reset: true\n", suffix="yaml")
    assert read_config(toml).hash == read_config(yaml).hash


def test_integers_and_whole_floats_are_taken_where_nothing_is_lost() -> None:
    config = parse_config({"params": {"soft_cap": 8, "max_hold_bars": 60.0, "abs_cap": 9}}, where="x")
    document = config.document()["params"]
    assert type(document["soft_cap"]) is float and type(document["max_hold_bars"]) is int
    exact = {"params": {"soft_cap": 8.0, "max_hold_bars": 60, "abs_cap": 9.0}}
    assert config.hash == parse_config(exact, where="x").hash


def test_p60_waits_for_its_window() -> None:
    config = parse_config({"params": {"vol_p60": "p60"}}, where="x")
    assert config.of_window == (("vol_p60", 60.0),)
    assert config.with_values({"tp_pct": 0.02}).of_window == config.of_window
    resolved = config.with_quantiles({"vol_p60": 0.0003})
    assert not resolved.of_window and resolved.document()["params"]["vol_p60"] == 0.0003
    assert resolved.hash == parse_config({"params": {"vol_p60": 0.0003}}, where="x").hash


def test_records_hold_choices_by_position() -> None:
    config = parse_config(
        {"params": {"direction": "bidirectional", "vol_gate_mode": "off", "acb_day_reset": True}}, where="x"
    )
    record = config.params_record()
    assert record.shape == (1,)
    assert (record["direction"][0], record["vol_gate_mode"][0], record["acb_day_reset"][0]) == (2, 2, 1)
    assert record["tp_pct"][0] == 0.0095 and record["max_hold_bars"][0] == 125
    friction = parse_config({"friction": {"fee_bps": 3.0, "fill_timing": "next"}}, where="x").friction_record()
    assert friction.dtype == FRICTION and friction[0].item() == (2e-4, 3e-4, 2e-4, 0.1, 0.005, 1)


REJECTED = [
    ({"strateg": "vel_div"}, ["x.toml", "unknown key 'strateg'", "did you mean 'strategy'?"]),
    ({"strategy": "vel_dif"}, ["unknown strategy 'vel_dif'", "did you mean 'vel_div'?"]),
    ({"strategy": 3}, ["x.toml", "strategy must be a name, not 3"]),
    ({"preset": "legacy_98"}, ["x.toml", "unknown preset 'legacy_98'", "did you mean 'legacy_99'?"]),
    ({"preset": ["legacy_99"]}, ["x.toml", "unknown preset", "did you mean 'legacy_99'?"]),
    ({"params": 3}, ["x.toml", "[params] must be a table"]),
    ({"params": {"tp_pc": 0.1}}, ["x.toml", "unknown key 'tp_pc' in [params]", "did you mean 'tp_pct'?"]),
    ({"friction": {"fees_bps": 1}}, ["unknown key 'fees_bps' in [friction]", "did you mean 'fee_bps'?"]),
    ({"account": {"capital": 1}}, ["unknown key 'capital' in [account]", "did you mean 'initial_capital'?"]),
    ({"params": {"tp_pct": 0.0}}, ["x.toml", "[params] tp_pct = 0.0", "greater than 0"]),
    ({"params": {"tp_pct": "wide"}}, ["[params] tp_pct = 'wide'", "valid number"]),
    ({"params": {"tp_pct": True}}, ["[params] tp_pct = True", "valid number"]),
    ({"params": {"tp_pct": float("nan")}}, ["[params] tp_pct = nan", "finite"]),
    ({"params": {"tp_pct": float("inf")}}, ["[params] tp_pct = inf", "finite"]),
    ({"params": {"tp_pct": 10**400}}, ["[params] tp_pct is too large a number"]),
    ({"params": {"max_stale_bars": 2**63}}, ["[params] max_stale_bars is too large a number"]),
    ({"params": {"max_hold_bars": 2.5}}, ["[params] max_hold_bars = 2.5", "valid integer"]),
    ({"params": {"max_hold_bars": 0}}, ["[params] max_hold_bars = 0", "greater than or equal to 1"]),
    ({"params": {"acb_day_reset": "yes"}}, ["[params] acb_day_reset = 'yes'", "valid boolean"]),
    ({"params": {"direction": "short"}}, ["[params] direction = 'short'", "'short_only', 'long_only'"]),
    ({"params": {"convexity": 4}}, ["[params] convexity = 4", "less than or equal to 3"]),
    ({"params": {"vol_p60": "p101"}}, ["[params] vol_p60 = 'p101'", "valid number nor a percentile from p0 to p100"]),
    ({"params": {"vol_p60": "median"}}, ["[params] vol_p60 = 'median'", "a percentile from p0 to p100"]),
    ({"params": {"tp_pct": "p60"}}, ["x.toml: [params] tp_pct = 'p60': no percentile settles it", "settles vol_p60"]),
    ({"market": {"founding": "f"}}, ["x.toml", "unknown key 'founding' in [market]", "did you mean 'funding'?"]),
    ({"market": {"funding": ""}}, ["x.toml: [market] funding = ''", "at least 1 character"]),
    (
        {"params": {"direction": "bidirectional", "long_threshold": 0.0}},
        ["x.toml: [params] long_threshold must be above 0 when direction is bidirectional, not 0.0"],
    ),
    ({"params": {"direction": "long_only", "long_threshold": -0.1}}, ["long_threshold must be above 0"]),
    ({"params": {"short_extreme": -0.01}}, ["short_extreme (-0.01) must lie below short_threshold (-0.02)"]),
    ({"params": {"direction": "long_only", "long_extreme": 0.01}}, ["long_extreme (0.01) must lie above"]),
    ({"params": {"base_leverage": 7.0}}, ["soft_cap (6.0) must not lie below base_leverage (7.0)"]),
    ({"friction": {"fee_bps": -1}}, ["[friction] fee_bps = -1.0", "greater than or equal to 0"]),
    ({"friction": {"fill_timing": "open"}}, ["[friction] fill_timing = 'open'", "'close' or 'next'"]),
    ({"account": {"initial_capital": 0}}, ["[account] initial_capital = 0.0", "greater than 0"]),
]


@pytest.mark.parametrize(("table", "said"), REJECTED)
def test_a_rejection_says_what_where_and_how_to_mend_it(table: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(DolphinError) as caught:
        parse_config(table, where="x.toml")
    line = str(caught.value)
    assert "\n" not in line
    for part in said:
        assert part in line


def test_long_threshold_does_not_matter_to_shorts() -> None:
    assert parse_config({"params": {"long_threshold": -0.1}}, where="x").hash


@pytest.mark.parametrize(
    ("suffix", "text", "said"),
    [
        ("toml", "tp_pct = ", "not valid"),
        ("toml", "x = " + "[" * 20_000, "not valid"),
        ("yaml", "params: [", "not valid"),
        ("yaml", "day: 2024-13-45", "not valid"),
        ("yaml", "- 1\n- 2", "holds no table of keys"),
        ("yaml", "1: 2", "unknown key '1'"),
        ("yaml", "params:\n  1: 2", "unknown key '1' in [params]"),
        ("toml", "\x00", "not valid"),
    ],
)
def test_malformed_files_are_named(tmp_path: Path, suffix: str, text: str, said: str) -> None:
    path = written(tmp_path, text, suffix)
    with pytest.raises(DolphinError) as caught:
        read_config(path)
    assert str(path) in str(caught.value) and said in str(caught.value)


def test_missing_and_binary_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DolphinError, match=r"no\.toml: no such file; check the path"):
        read_config(tmp_path / "no.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DolphinError, match=r"b\.toml: not readable"):
        read_config(tmp_path / "b.toml")
    with pytest.raises(DolphinError, match="not readable"):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.01", 0.01), ("5", 5), ("true", True), ("p60", "p60"), ('"min"', "min"), ("long_only", "long_only")],
)
def test_set_values_follow_toml(text: str, value: object) -> None:
    parsed = parse_value(text)
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize("key", ["tp", "params.tp", "friction.tp_pct", "nowhere.tp_pct", "a.b.tp_pct"])
def test_set_of_an_unknown_key(key: str) -> None:
    with pytest.raises(DolphinError, match=f"--set: unknown key '{key}'; did you mean 'tp_pct'"):
        parse_config({}, where="x", overrides={key: 1})


def test_the_document_is_plain_json() -> None:
    document = parse_config({"preset": "v2_gold_fix"}, where="x").document()
    assert json.loads(json.dumps(document)) == document
