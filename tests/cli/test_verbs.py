"""Every verb from a user's side: exit codes, one JSON document on stdout, files where the contract says."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from command_line import Answer, dolphin, klines, tree, write_source

Call = Callable[..., Answer]


def test_init(tmp_path: Path) -> None:
    done = dolphin(tmp_path / "elsewhere", "init", tmp_path / "new", "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json == {"workspace": str(tmp_path / "new")}
    assert (tmp_path / "new" / "dolphin.toml").is_file() and (tmp_path / "new" / "data_catalog").is_dir()
    before = tree(tmp_path / "new")
    assert dolphin(tmp_path / "elsewhere", "init", tmp_path / "new").code == 0
    assert tree(tmp_path / "new") == before and not (tmp_path / "elsewhere").exists()


def test_doctor(pristine: Path) -> None:
    done = dolphin(pristine, "doctor", "--json")
    assert done.code == 0, done.out
    findings = {finding["part"]: finding for finding in done.json["findings"]}
    for part in ("Python", "CPU", "numba", "polars", "kernel cache", "kernels", "workspace"):
        assert findings[part]["ok"] is True
    assert str(pristine) in findings["workspace"]["detail"]
    for part in ("nautilus_trader", "vectorbt", "hazelcast"):
        assert findings[part]["ok"] in (True, None) and findings[part]["detail"]


def test_doctor_without_a_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:  # type: ignore[no-untyped-def]
    from dolphin.cli import main

    monkeypatch.delenv("DOLPHIN_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--json"]) == 0
    findings = {finding["part"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert findings["workspace"]["ok"] is None and "dolphin init" in findings["workspace"]["detail"]


def test_import_list_show_verify(home: Path, tmp_path: Path, call: Call) -> None:
    source = write_source(tmp_path / "source", klines())
    done = dolphin(home, "data", "import", source, "--name", "k", "--spacing", "1m", "--json")
    assert (done.code, done.err) == (0, "")
    summary = done.json
    assert (summary["name"], summary["symbols"], summary["bars"], summary["kind"]) == ("k", 2, 60, "real")
    assert summary["unchanged"] is False and summary["quality"]["rows"] == 120
    again = call(home, "data", "import", source, "--name", "k", "--json").json
    assert again["unchanged"] is True and again["digest"] == summary["digest"]

    listed = dolphin(home, "data", "list", "--json")
    assert (listed.code, listed.err) == (0, "")
    assert [(d["name"], d["kind"], d["state"]) for d in listed.json["datasets"]] == [
        ("k", "real", "ok"),
        ("m", "synthetic", "ok"),
    ]
    shown = dolphin(home, "data", "show", "k", "--json")
    assert (shown.code, shown.err) == (0, "")
    manifest = json.loads((home / "data_catalog" / "k.json").read_text())
    assert shown.json == manifest and manifest["digest"] == summary["digest"]
    verified = dolphin(home, "data", "verify", "k", "--json")
    assert (verified.code, verified.err) == (0, "")
    assert verified.json == {"dataset": "k", "ok": True, "problems": []}
    for verb in (("list",), ("show", "k"), ("verify", "k")):
        said = call(home, "data", *verb)
        assert said.code == 0 and "k" in said.out and said.err == ""


def test_import_of_part_of_a_source(home: Path, tmp_path: Path, call: Call) -> None:
    source = write_source(tmp_path / "source", klines(("BTCUSDT", "ETHUSDT", "XRPUSDT")))
    arguments = ("--symbols", "ETHUSDT,XRPUSDT", "--reference", "XRPUSDT", "--from", "2025-01-01", "--json")
    done = call(home, "data", "import", source, "--name", "k", *arguments)
    assert (done.code, done.json["symbols"], done.json["reference"]) == (0, 2, "XRPUSDT")
    assert done.json["first close"] == "2025-01-01T00:00:00Z"
    until = call(home, "data", "import", source, "--name", "k2", "--to", "2025-01-01", "--json").json
    assert until["last close"] == "2024-12-31T23:59:00Z" and until["bars"] == 29


def test_rejected_rows_are_counted_not_dropped_in_silence(home: Path, tmp_path: Path, call: Call) -> None:
    frame = klines()
    bad = frame.with_columns(pl.when(pl.int_range(pl.len()) == 5).then(-1.0).otherwise(pl.col("low")).alias("low"))
    source = write_source(tmp_path / "source", bad)
    done = call(home, "data", "import", source, "--name", "k", "--on-bad", "reject", "--json")
    assert done.code == 0 and done.json["quality"]["rejected"] == 1
    assert done.json["quality"]["counts"]["price_not_positive"] == 1


@pytest.mark.parametrize("preset", ["edge", "null", "crash"])
def test_generate_is_the_same_market_every_time(home: Path, call: Call, preset: str) -> None:
    arguments = ("--preset", preset, "--days", 1, "--assets", 3, "--spacing", "5m", "--json")
    one, two = (call(home, "data", "generate", "--name", name, *arguments).json for name in "ab")
    other = call(home, "data", "generate", "--name", "c", *arguments, "--seed", 2).json
    assert one["digest"] == two["digest"] != other["digest"]
    assert one["kind"] == "synthetic" and one["bars"] == 288 and f"preset {preset}" in one["source"]


def test_scan_is_idempotent(home: Path) -> None:
    folder = home / "data_catalog" / "scans" / "m"
    before = tree(folder)
    done = dolphin(home, "scan", "m", "--json")
    assert (done.code, done.err) == (0, "")
    assert {key: done.json[key] for key in ("dataset", "days", "computed", "folder")} == {
        "dataset": "m", "days": 3, "computed": 0, "folder": str(folder),
    }  # fmt: skip
    (folder / "2025-01-02.parquet").unlink()
    assert dolphin(home, "scan", "m", "--json").json["computed"] == 1
    assert tree(folder) == before


def test_the_scan_files_are_the_contract(pristine: Path) -> None:
    frame = pl.read_parquet(pristine / "data_catalog" / "scans" / "m" / "2025-01-02.parquet")
    assert frame.columns[:10] == [
        "ts", "vel_div", "v50_vel", "v150_vel", "v300_vel", "v750_vel", "instability_50", "instability_150",
        "vol", "bull_pct",
    ]  # fmt: skip
    assert len(frame.columns) == 10 + 8 and frame.columns[10:] == sorted(frame.columns[10:])
    assert frame.height == 1440 and frame["ts"].dtype == pl.Int64
    assert frame["ts"][0] == 1_735_776_000_000_000_000


def test_backtest(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = dolphin(home, "backtest", "m", "--config", home / "config.toml", "--out", out, "--json")
    assert (done.code, done.err) == (0, "")
    metrics = json.loads((out / "metrics.json").read_text())
    assert done.json["metrics"] == metrics and metrics["trades"] > 10 and metrics["bars"] == 4320
    config = json.loads((out / "config.json").read_text())
    assert done.json["config_hash"] == config["hash"]
    assert isinstance(config["config"]["params"]["vol_p60"], float)
    assert json.loads((out / "run.json").read_text()) == done.json["run"]
    assert {path.name for path in out.iterdir()} == {
        "config.json", "run.json", "metrics.json", "trades.parquet", "equity.parquet", "digests.parquet",
        "manifest.json", "figures.json", "daily.parquet", "prices.parquet",
    }  # fmt: skip
    for name in ("trades.parquet", "equity.parquet", "digests.parquet", "config.json", "metrics.json"):
        assert (out / name).read_bytes() == (home / "runs" / "run" / name).read_bytes()


def test_backtest_of_a_window_with_overrides(home: Path, tmp_path: Path, call: Call) -> None:
    out = tmp_path / "run"
    done = call(
        home, "backtest", "m", "--config", home / "config.toml", "--out", out, "--from", "2025-01-02",
        "--to", "2025-01-03T12:00:00+00:00", "--set", "fee_bps=3", "--set", "params.direction=long_only", "--json",
    )  # fmt: skip
    assert done.code == 0
    config = json.loads((out / "config.json").read_text())["config"]
    assert config["friction"]["fee_bps"] == 3.0 and config["params"]["direction"] == "long_only"
    assert done.json["run"]["first_bar"]["time"] == "2025-01-02T00:00:00Z"
    assert done.json["run"]["last_bar"]["time"] == "2025-01-03T11:59:00Z"
    assert set(pl.read_parquet(out / "trades.parquet")["side"]) == {"LONG"}


def test_generated_data_are_called_synthetic(home: Path, tmp_path: Path, call: Call) -> None:
    said = call(home, "backtest", "m", "--config", home / "config.toml", "--out", tmp_path / "run")
    assert said.code == 0 and "SYNTHETIC" in said.out


def test_sweep_and_trials(home: Path, call: Call) -> None:
    done = dolphin(home, "sweep", home / "study.toml", "--json")
    assert (done.code, done.err) == (0, "")
    report = done.json
    assert (report["planned"], report["ran"], report["known"], report["invalid"]) == (50, 50, 0, 0)
    best = report["best"][0]
    assert report["best_config"] == str(home / "experiments" / "study" / "best.toml")
    listed = dolphin(home, "trials", home / "study.toml", "--count", 500, "--json")
    assert (listed.code, listed.err) == (0, "")
    trials: list[dict[str, Any]] = listed.json["trials"]
    assert len({row["config_hash"] for row in trials}) == len(trials) <= 50
    assert listed.json["configurations_on_this_data"] == 51  # and the run by hand
    assert json.loads(trials[0]["config"])["params"] == best["params"]
    resumed = call(home, "sweep", home / "study.toml", "--resume", "--json").json
    assert (resumed["ran"], resumed["known"]) == (0, 50) and resumed["best"][0] == best

    again = call(home, "backtest", "m", "--config", report["best_config"], "--out", home / "runs" / "best", "--json")
    assert {name: again.json["metrics"][name] for name in best["metrics"]} == best["metrics"]
    said = call(home, "trials", home / "study.toml")
    assert said.code == 0 and "by sharpe_365" in said.out and "51 different configurations" in said.out


def test_infinite_figures_are_still_json(home: Path, call: Call) -> None:
    (home / "study.toml").write_text(
        'dataset = "m"\nsampler = "grid"\nobjective = "trades"\nmin_trades = 0\nconfig = "config.toml"\n'
        "[search]\ntp_pct = { choices = [0.05] }\nmax_hold_bars = { choices = [200000] }\n"
        "short_threshold = { choices = [-0.0199] }\nlong_threshold = { choices = [0.0199] }\n"
    )
    done = call(home, "sweep", home / "study.toml", "--json")
    assert done.code == 0 and not math.isfinite(float(done.json["best"][0]["metrics"]["profit_factor"]))
    listed = call(home, "trials", home / "study.toml", "--json")
    assert listed.json["trials"][0]["profit_factor"] in ("inf", "nan")


def test_parity(home: Path, call: Call) -> None:
    runs = home / "runs"
    config = ("--config", home / "config.toml")
    call(home, "backtest", "m", *config, "--out", runs / "same")
    call(home, "backtest", "m", *config, "--out", runs / "other", "--set", "tp_pct=0.0021")
    same = dolphin(home, "parity", runs / "run", runs / "same", "--json")
    assert (same.code, same.err, same.json["equal"], same.json["bar"]) == (0, "", True, None)
    other = dolphin(home, "parity", runs / "run", runs / "other", "--json")
    assert (other.code, other.err, other.json["equal"]) == (1, "", False)
    digests = [pl.read_parquet(runs / name / "digests.parquet")["digest"] for name in ("run", "other")]
    assert other.json["bar"] == (digests[0] != digests[1]).arg_max()
    assert other.json["stage"] == "intent" and other.json["cause"] == "different config"
    said = call(home, "parity", runs / "run", runs / "other")
    assert said.code == 1 and "first difference is bar" in said.out and "params.tp_pct" in said.out


def test_ladder_on_the_first_rung(home: Path) -> None:
    done = dolphin(
        home, "ladder", "m", "--config", home / "config.toml", "--rungs", "0", "--to", "2025-01-02", "--json"
    )
    assert (done.code, done.err) == (0, ""), done.err
    assert done.json["passed"] is True


@pytest.mark.slow
def test_ladder_to_the_top(home: Path) -> None:
    done = dolphin(home, "ladder", "m", "--config", home / "config.toml", "--json")
    assert done.code == 0, done.err
    assert done.json["passed"] is True and {r["rung"] for r in done.json["rungs"]} == {0, "R", 1, 2}


@pytest.mark.parametrize("kind", ["lookahead", "warmup", "append-only"])
def test_checks(home: Path, call: Call, kind: str) -> None:
    config = () if kind == "append-only" else ("--config", home / "config.toml")
    done = call(home, "check", kind, "m", *config, "--json")
    assert (done.code, done.json["passed"], done.json["dataset"]) == (0, True, "m"), done.out


def test_check_as_a_process(home: Path) -> None:
    done = dolphin(home, "check", "append-only", "m", "--json")
    assert (done.code, done.err, done.json["passed"]) == (0, "", True)


@pytest.mark.slow
def test_gate_and_promotion_refuse_a_short_market(home: Path, call: Call) -> None:
    before = tree(home / "promote")
    gate = dolphin(home, "gate", home / "config.toml", "--data", "m", "--junit", home / "gate.xml", "--json")
    assert (gate.code, gate.err) == (1, "") and gate.json["verdict"] == "REFUSED"
    assert any(not floor["passed"] for floor in gate.json["floors"])
    assert (home / "gate.xml").read_text().startswith("<?xml")
    refused = dolphin(home, "promote", "blue", home / "config.toml", "--data", "m", "--reason", "to try", "--json")
    assert refused.code == 1 and refused.json["promoted"] is False and refused.json["refusals"]
    assert f"(and {len(refused.json['refusals']) - 1} more)" in refused.complaint and len(refused.complaint) < 400
    assert {k: v for k, v in tree(home / "promote").items() if v} == {k: v for k, v in before.items() if v}


def test_promote_show_and_verify_without_a_champion(home: Path) -> None:
    shown = dolphin(home, "promote", "show", "--json")
    assert (shown.code, shown.json["pointers"]["blue"]) == (0, None)
    verified = dolphin(home, "promote", "verify", "--json")
    assert (verified.code, verified.json["ok"], verified.json["champions"]) == (0, True, 0)


def test_report(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.html"
    done = dolphin(home, "report", home / "runs" / "run", "--out", out, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json == {"run": str(home / "runs" / "run"), "out": str(out), "bytes": out.stat().st_size}
    page = out.read_text()
    assert "SYNTHETIC" in page and page.lstrip().lower().startswith("<!doctype html")


def test_the_workspace_is_found_from_below(home: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:  # type: ignore[no-untyped-def]
    from dolphin.cli import main

    monkeypatch.delenv("DOLPHIN_HOME", raising=False)
    monkeypatch.chdir(home / "research")
    assert main(["data", "list", "--json"]) == 0
    assert [d["name"] for d in json.loads(capfd.readouterr().out)["datasets"]] == ["m"]


def test_a_dataset_that_is_not_here_does_not_hide_the_others(home: Path, call: Call) -> None:
    call(home, "data", "generate", "--name", "z", "--preset", "null", "--days", 1, "--assets", 2, "--spacing", "1h")
    next((home / "data_catalog" / "bars" / "z").rglob("*.parquet")).unlink()
    listed = call(home, "data", "list", "--json")
    states = {d["name"]: d["state"] for d in listed.json["datasets"]}
    assert listed.code == 0 and states["m"] == "ok" and "data file is missing" in states["z"]
    said = call(home, "data", "list")
    assert any(line.startswith("cannot be used: z: ") and "missing" in line for line in said.out.splitlines())


def test_output_into_a_closed_pipe_is_no_error(home: Path) -> None:
    import subprocess

    from command_line import command, environment

    shown = subprocess.Popen(
        command("data", "show", "m", "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(home)
    )
    assert shown.stdout is not None and shown.stderr is not None
    shown.stdout.close()
    assert b"Traceback" not in shown.stderr.read()
    shown.wait()
    shown.stderr.close()
