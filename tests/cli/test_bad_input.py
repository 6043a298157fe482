"""Every mistake is one clear line and exit code 2, and leaves the workspace as it was, to the byte."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from command_line import MINUTE, Answer, klines, process, tree, write_source
from thorough import thorough

Call = Callable[..., Answer]
Words = list[object]


def at(row: int, column: str, value: float | None) -> pl.Expr:
    """The column with one value replaced."""
    return pl.when(pl.int_range(pl.len()) == row).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)


def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
    """Two rows of one symbol exchanged."""
    order = np.arange(frame.height)
    order[[3, 4]] = order[[4, 3]]
    return frame[order]


SOURCES: dict[str, tuple[Callable[[], list[pl.DataFrame]], str, list[str]]] = {
    # frames, further options, what the line must say
    "wrong columns": (lambda: [klines().rename({"close": "clos"})], "", ["no column for the close", "'clos'"]),
    "text in a price": (lambda: [klines().with_columns(pl.lit("x").alias("low"))], "", ["column 'low'", "no number"]),
    "negative price": (lambda: [klines().with_columns(at(70, "low", -1.0))], "", ["price <= 0", "ETHUSDT", "1 row "]),
    "zero price": (lambda: [klines().with_columns(at(5, "open", 0.0))], "", ["price <= 0", "BTCUSDT"]),
    "nan": (lambda: [klines().with_columns(at(5, "close", float("nan")))], "", ["NaN value", "BTCUSDT"]),
    "infinity": (lambda: [klines().with_columns(at(5, "high", float("inf")))], "", ["infinite value"]),
    "missing value": (lambda: [klines().with_columns(at(5, "volume", None))], "", ["missing value"]),
    "duplicate times": (lambda: [pl.concat([klines(), klines()[7:8]]).sort("symbol", "ts")], "", ["duplicate time"]),
    "the same file twice": (lambda: [klines(), klines()], "", ["duplicate time", "1.parquet"]),
    "unsorted times": (lambda: [shuffled(klines())], "", ["unsorted time", "BTCUSDT"]),
    "spacing that does not fit": (lambda: [klines()], "--spacing 5m", ["spacing", "does not fit"]),
    "spacing too fine": (lambda: [klines()], "--spacing 5s", ["spacing 5s does not fit", "1m"]),
    "no spacing": (lambda: [klines()], "--spacing 7m", ["'7m' is no bar spacing", "divides a day"]),
    "mixed spacing": (lambda: [klines(), klines(("XRPUSDT",), step=5 * MINUTE)], "", ["does not fit", "XRPUSDT"]),
    "times off the grid": (lambda: [klines().with_columns(pl.col("ts") + 1)], "", ["off its grid"]),
    "unknown symbol": (lambda: [klines()], "--symbols BTCUSDT,ETHUST", ["unknown symbol 'ETHUST'", "'ETHUSDT'"]),
    "unknown reference": (
        lambda: [klines(("ETHUSDT",))],
        "--reference BTCUSDT",
        ["reference symbol BTCUSDT is not in the data"],
    ),
    "bad symbol": (lambda: [klines(("BTC-USDT",))], "", ["BTC-USDT, bar closing"]),
    "no rows": (lambda: [klines()[:0]], "", ["holds no rows"]),
    "window without data": (lambda: [klines()], "--from 2030-01-01", ["no row is left"]),
    "times of no kind": (lambda: [klines().with_columns(pl.col("ts") // 10**6)], "", ["not between 2000 and 2100"]),
    "bad name": (lambda: [klines()], "--name ../k", ["'../k' cannot name a dataset"]),
    "bad instruments": (lambda: [klines()], "--instruments /nowhere.json", ["/nowhere.json", "no such file"]),
}


@pytest.mark.parametrize("case", sorted(SOURCES))
def test_a_source_that_cannot_be_taken_whole(pristine: Path, tmp_path: Path, call: Call, case: str) -> None:
    frames, options, said = SOURCES[case]
    source = write_source(tmp_path / "source", *frames())
    before = tree(pristine)
    name = [] if "--name" in options else ["--name", "k"]
    done = call(pristine, "data", "import", source, *name, *options.split())
    assert done.code == 2 and done.out == ""
    for part in said:
        assert part in done.complaint
    assert tree(pristine) == before


def not_parquet(folder: Path) -> Path:
    (folder / "x.parquet").write_bytes(b"what is this")
    return folder


def cut_parquet(folder: Path) -> Path:
    klines().write_parquet(folder / "x.parquet")
    (folder / "x.parquet").write_bytes((folder / "x.parquet").read_bytes()[:-50])
    return folder


def text_file(folder: Path) -> Path:
    (folder / "notes.txt").write_text("hello")
    return folder / "notes.txt"


def other_file(folder: Path) -> Path:
    return text_file(folder).rename(folder / "notes.md")


def binary_csv(folder: Path) -> Path:
    (folder / "BTCUSDT-1m.csv").write_bytes(b"\x00\x01\x02" * 99)
    return folder


def other_csv(folder: Path) -> Path:
    (folder / "BTCUSDT-1m.csv").write_text("a,b,c\n1,2,3\n")
    return folder


def empty_zip(folder: Path) -> Path:
    zipfile.ZipFile(folder / "BTCUSDT-1m.zip", "w").close()
    return folder


PLACES: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "missing folder": (lambda folder: folder / "nowhere", ["nowhere", "no such file or folder"]),
    "empty folder": (lambda folder: folder, ["no data file in this folder"]),
    "folder without data": (lambda folder: text_file(folder).parent, ["no data file in this folder"]),
    "file of another kind": (other_file, ["no reader for '.md' files", ".parquet"]),
    "not Parquet": (not_parquet, ["x.parquet", "not a Parquet file"]),
    "half a Parquet": (cut_parquet, ["x.parquet", "not readable as Parquet"]),
    "binary CSV": (binary_csv, ["not a CSV text file"]),
    "CSV of other columns": (other_csv, ["no column for the time", "--columns time="]),
    "empty zip": (empty_zip, ["an empty zip"]),
}


@pytest.mark.parametrize("case", sorted(PLACES))
def test_a_place_without_market_data(pristine: Path, tmp_path: Path, call: Call, case: str) -> None:
    make, said = PLACES[case]
    (tmp_path / "source").mkdir()
    source = make(tmp_path / "source")
    before = tree(pristine)
    done = call(pristine, "data", "import", source, "--name", "k")
    assert done.code == 2 and done.out == ""
    for part in said:
        assert part in done.complaint
    assert tree(pristine) == before


def test_a_failed_import_leaves_the_old_version(home: Path, tmp_path: Path, call: Call) -> None:
    assert call(home, "data", "import", write_source(tmp_path / "good", klines()), "--name", "k").code == 0
    before = tree(home)
    bad = write_source(tmp_path / "bad", klines(), klines(("XRPUSDT",)).with_columns(at(59, "low", -1.0)))
    assert "price <= 0" in call(home, "data", "import", bad, "--name", "k").complaint
    assert tree(home) == before and call(home, "data", "verify", "k").code == 0


CONFIGS: dict[str, tuple[str, str, list[str]]] = {
    # text of c.toml (None: no file), further options, what the line must say
    "no file": ("", "--config none.toml", ["none.toml: no such file"]),
    "malformed TOML": ("params = [", "", ["c.toml: not valid"]),
    "unknown key": ("[params]\ntp_prct = 1\n", "", ["c.toml: unknown key 'tp_prct' in [params]", "'tp_pct'"]),
    "unknown section": ("[parms]\ntp_pct = 1\n", "", ["c.toml: unknown key 'parms'", "'params'"]),
    "out of range": ("[params]\nfraction = 1.5\n", "", ["c.toml: [params] fraction = 1.5", "less than or equal to 1"]),
    "wrong type": ('[friction]\nfee_bps = "2"\n', "", ["c.toml: [friction] fee_bps = '2'", "valid number"]),
    "long threshold": (
        '[params]\ndirection = "bidirectional"\nlong_threshold = 0.0\n', "",
        ["c.toml: [params] long_threshold must be above 0 when direction is bidirectional"],
    ),
    "unknown preset": ('preset = "champion"', "", ["unknown preset 'champion'", "'champion_2026_03'"]),
    "unknown strategy": ('strategy = "veldiv"', "", ["unknown strategy 'veldiv'", "'vel_div'"]),
    "own strategy that is not there": ('strategy = "mine:X"', "", ["research/mine.py", "no such strategy module"]),
    "set without =": ("", "--set tp_pct", ["--set tp_pct: not of the form key=value", "tp_pct=0.0099"]),
    "set without key": ("", "--set =3", ["--set =3: not of the form key=value"]),
    "set of an unknown key": ("", "--set tp_pc=3", ["--set: unknown key 'tp_pc'", "'tp_pct'"]),
    "set out of range": ("", "--set tp_pct=-3", ["[params] tp_pct = -3.0", "greater than 0"]),
    "from after to": ("", "--from 2025-01-03 --to 2025-01-02", ["no bars between --from and --to", "2025-01-01T00"]),
    "window outside of the data": ("", "--from 2030-01-01", ["m: no bars between", "2025-01-03T23:59:00Z"]),
    "no time": ("", "--from tomorrow", ["'tomorrow' is no time", "2025-01-31"]),
    "p60 of the warm-up": ('[params]\nvol_p60 = "p60"\n', "--to 2025-01-01T00:20:00", ["bars with a value of 'vol'"]),
    "no percentile": ('[params]\nvol_p60 = "p160"\n', "", ["c.toml: [params] vol_p60 = 'p160'", "from p0 to p100"]),
    "percentile of another": ('[params]\ntp_pct = "p60"\n', "", ["c.toml: [params] tp_pct = 'p60'", "vol_p60"]),
    "unknown table": ('[market]\nfundings = "f"\n', "", ["c.toml: unknown key 'fundings' in [market]", "'funding'"]),
}  # fmt: skip


@pytest.mark.parametrize("verb", ["backtest", "ladder", "check"])
@pytest.mark.parametrize("case", sorted(CONFIGS))
def test_a_bad_config_or_window(pristine: Path, tmp_path: Path, call: Call, case: str, verb: str) -> None:
    text, options, said = CONFIGS[case]
    config = tmp_path / "c.toml"
    config.write_text(text)
    words: Words = [] if "--config" in options else ["--config", config]
    start: Words = ["check", "lookahead"] if verb == "check" else [verb]
    out: Words = ["--out", tmp_path / "out"] if verb == "backtest" else []
    before = tree(pristine)
    done = call(pristine, *start, "m", *words, *out, *options.split())
    assert done.code == 2 and done.out == ""
    for part in said:
        assert part in done.complaint
    assert tree(pristine) == before and {path.name for path in tmp_path.iterdir()} == {"c.toml"}


#: Lines of an own strategy's declaration that cannot hold, and what is said of them.
DECLARED = {
    "features": ('features=lambda p: {"v": p.volume}', "has features that raise AttributeError"),
    "quantiles": (
        'features=("vol",), quantiles={"tp_pct": "vol_div"}',
        "'tp_pct' as a quantile of 'vol_div', which is no",
    ),
    "market_columns": ('features=("vol",), market_columns=("mid",)', "asks for market_columns ('mid',)"),
    "an unknown word": ('features=("vol",), horizon=3', "unexpected keyword argument 'horizon'"),
}


@pytest.mark.parametrize("case", sorted(DECLARED))
def test_a_declaration_that_cannot_hold(home: Path, tmp_path: Path, call: Call, case: str) -> None:
    line, said = DECLARED[case]
    (home / "research" / "mine.py").write_text(
        "from dolphin.core.strategy import Strategy\n"
        "from dolphin.strategies.vel_div import REASONS, VelDivParams, decide, warmup_bars\n"
        f'X = Strategy("mine", decide, VelDivParams, reasons=REASONS, warmup_bars=warmup_bars, {line})\n'
    )
    config = tmp_path / "c.toml"
    config.write_text('strategy = "mine:X"\n')
    done = call(home, "check", "lookahead", "m", "--config", config)
    assert done.code == 2 and done.out == "" and done.complaint.strip().count("\n") == 0
    assert re.search(r"research/mine\.py:\d+: does not import: TypeError: ", done.complaint) and said in done.complaint


STUDIES: dict[str, tuple[str, list[str]]] = {
    "unknown parameter": ("[search]\ntp = { low = 1, high = 2 }", ["[search]: unknown key 'tp'", "'tp_pct'"]),
    "empty range": ("[search]\ntp_pct = { low = 2, high = 1 }", ["[search] tp_pct: empty range"]),
    "no search": ("", ["[search] is empty"]),
    "unknown objective": ("objective = 'win_rat'\n{x}", ["unknown objective 'win_rat'", "'win_rate'"]),
    "unknown sampler": ("sampler = 'sobal'\n{x}", ["unknown sampler 'sobal'", "'sobol'"]),
    "unknown key": ("trails = 3\n{x}", ["unknown key 'trails'", "'trials'"]),
    "no trials": ("{x}", ["needs a number of trials"]),
    "zero trials": ("trials = 0\n{x}", ["trials = 0 must be a whole number of at least 1"]),
    "too many trials": ("trials = 100000000000\n{x}", ["more than the"]),
    "grid without steps": ("sampler = 'grid'\n{x}", ["a grid over 'tp_pct' needs a step"]),
    "malformed": ("sampler = \n{x}", ["not valid"]),
    "window": ("from = '2030-01-01'\ntrials = 4\n{x}", ["no bars between", "2025-01-01T00:00:00Z"]),
    "base config": ("config = 'none.toml'\n{x}", ["none.toml: no such file"]),
}


@pytest.mark.parametrize("case", sorted(STUDIES))
def test_a_bad_study(pristine: Path, tmp_path: Path, call: Call, case: str) -> None:
    text, said = STUDIES[case]
    study = tmp_path / "s.toml"
    study.write_text("dataset = 'm'\n" + text.replace("{x}", "[search]\ntp_pct = { low = 0.001, high = 0.01 }"))
    before = tree(pristine)
    done = call(pristine, "sweep", study)
    assert done.code == 2 and done.out == ""
    for part in said:
        assert part in done.complaint
    assert tree(pristine) == before


def test_a_study_of_a_dataset_that_is_not_there(pristine: Path, tmp_path: Path, call: Call) -> None:
    study = tmp_path / "s.toml"
    study.write_text("dataset = 'mm'\ntrials = 2\n[search]\ntp_pct = { low = 0.001, high = 0.01 }")
    for verb in ("sweep", "trials"):
        assert "no dataset 'mm'; did you mean 'm'?" in call(pristine, verb, study).complaint


WORDS: dict[str, tuple[str, list[str]]] = {
    "scan of no dataset": ("scan mm", ["no dataset 'mm'", "did you mean 'm'?"]),
    "show of no dataset": ("data show mm", ["no dataset 'mm'", "did you mean 'm'?"]),
    "verify of no dataset": ("data verify mm", ["no dataset 'mm'", "did you mean 'm'?"]),
    "backtest of no dataset": ("backtest mm --config {home}/config.toml --out {tmp}/o", ["no dataset 'mm'"]),
    "ladder of no dataset": ("ladder mm --config {home}/config.toml", ["no dataset 'mm'"]),
    "check of no dataset": ("check warmup mm --config {home}/config.toml", ["no dataset 'mm'"]),
    "a path as dataset": ("scan ../m", ["'../m' cannot name a dataset"]),
    "no study": ("sweep {tmp}/none.toml", ["none.toml: no such file"]),
    "unknown rung": ("ladder m --config {home}/config.toml --rungs 0,9", ["no rung '9'", "known: 0, R, 1, 2, 3, 4, 5"]),
    "check without config": ("check lookahead m", ["needs a strategy", "--config"]),
    "unknown check": ("check lookback m", ["lookback", "--help"]),
    "unknown option": ("scan m --fast", ["--fast", "--help"]),
    "unknown verb": ("scna m", ["scna", "--help"]),
    "unknown verb below": ("data lst", ["lst", "--help"]),
    "missing argument": ("scan", ["Missing argument", "--help"]),
    "missing option": ("report {home}/runs/run", ["--out", "--help"]),
    "too many arguments": ("scan m n", ["n", "--help"]),
    "option without value": ("backtest m --config", ["--config", "--help"]),
    "unknown preset of a market": ("data generate --name k --preset boom", ["'boom'", "edge", "--help"]),
    "no days": ("data generate --name k --preset edge --days 0", ["--days", "--help"]),
    "no number": ("data generate --name k --preset edge --days many", ["--days", "--help"]),
    "spacing of a market": ("data generate --name k --preset edge --spacing 7m", ["'7m' is no bar spacing"]),
    "name of a market": ("data generate --name a/b --preset edge --days 1", ["'a/b' cannot name a dataset"]),
    "parity with no folder": ("parity {home}/runs/run {tmp}/none", ["none: no such run folder"]),
    "parity with a foreign folder": ("parity {home}/runs/run {home}/research", ["manifest.json", "no such file"]),
    "report of no folder": ("report {tmp}/none --out {tmp}/x.html", ["none: no such run folder"]),
    "report of a foreign folder": ("report {home}/research --out {tmp}/x.html", ["no such file"]),
    "report onto a folder": ("report {home}/runs/run --out {tmp}", ["is a folder"]),
    "gate of nobody": ("gate {tmp}/none", ["none"]),
    "gate of no champion": ("gate", ["blue"]),
    "promotion without a reason": ("promote blue {home}/config.toml --data m", ["reason"]),
    "promotion with a blank reason": ("promote blue {home}/config.toml --data m --reason=", ["reason"]),
    "rollback without a reason": ("promote rollback", ["reason"]),
    "rollback from nothing": ("promote rollback --reason x", ["blue"]),
    "init onto a file": ("init {home}/config.toml", ["config.toml: is a file"]),
}


#: A gate begins with a process of its own.
APART = {"gate of nobody", "gate of no champion"}


@pytest.mark.parametrize("case", [*sorted(WORDS.keys() - APART), *thorough(sorted(APART), fast=0)])
def test_a_command_that_cannot_be_meant(pristine: Path, tmp_path: Path, call: Call, case: str) -> None:
    text, said = WORDS[case]
    before = tree(pristine)
    done = call(pristine, *text.format(home=pristine, tmp=tmp_path).split())
    assert done.code == 2 and done.out == ""
    for part in said:
        assert part in done.complaint
    assert tree(pristine) == before and not list(tmp_path.iterdir())


def test_out_is_a_file_or_holds_other_things(pristine: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("years of work")
    before = tree(pristine), tree(tmp_path)
    for out, said in (
        ("file", "is a file; name a folder"),
        ("foreign", "holds other files than a run"),
        ("file/below", "cannot write: "),
    ):
        done = call(pristine, "backtest", "m", "--config", pristine / "config.toml", "--out", tmp_path / out)
        assert done.code == 2 and done.out == "" and said in done.complaint
    assert (tree(pristine), tree(tmp_path)) == before


def test_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    from dolphin.cli import main

    monkeypatch.delenv("DOLPHIN_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    for words in (["data", "list"], ["scan", "m"], ["promote", "show"]):
        capfd.readouterr()
        assert main(words) == 2
        assert "no workspace" in Answer(2, *capfd.readouterr()).complaint
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("words", ["scan m --fast", "gate nobody"])  # all of them in this process above
def test_as_a_process_too(pristine: Path, tmp_path: Path, words: str) -> None:
    done = process(pristine, *words.split(), cwd=tmp_path)
    assert done.code == 2 and done.out == "" and done.complaint


RUN_FILES = ("run.json", "config.json", "metrics.json", "trades.parquet", "equity.parquet", "digests.parquet")


@pytest.mark.parametrize("how", ["remove", "truncate", "empty"])
@pytest.mark.parametrize("file", RUN_FILES)
def test_a_damaged_run_folder(pristine: Path, tmp_path: Path, call: Call, file: str, how: str) -> None:
    folder = Path(shutil.copytree(pristine / "runs" / "run", tmp_path / "run"))
    data = (folder / file).read_bytes()
    (folder / file).unlink()
    if how != "remove":
        (folder / file).write_bytes(data[: len(data) // 2] if how == "truncate" else b"")
    before = tree(tmp_path)
    done = call(pristine, "report", folder, "--out", tmp_path / "x.html")
    assert done.code == 2 and done.out == "" and str(folder) in done.complaint
    if file in ("run.json", "config.json", "digests.parquet"):
        done = call(pristine, "parity", pristine / "runs" / "run", folder)
        assert done.code == 2 and done.out == "" and str(folder) in done.complaint
    assert tree(tmp_path) == before


def some_day(home: Path) -> Path:
    return sorted((home / "data_catalog" / "bars" / "m").rglob("*2025-01-02.parquet"))[0]


@pytest.mark.parametrize("where", [4, 0.5, -9])
def test_one_damaged_byte_of_the_data(home: Path, tmp_path: Path, call: Call, where: float) -> None:
    path = some_day(home)
    data = bytearray(path.read_bytes())
    data[int(where * len(data)) if where == 0.5 else int(where)] ^= 1
    path.write_bytes(data)
    found = call(home, "data", "verify", "m", "--json")
    assert found.code == 1 and found.json["ok"] is False and found.err == ""
    assert len(found.json["problems"]) == 1 and str(path) in found.json["problems"][0]
    said = call(home, "data", "verify", "m")
    assert said.code == 1 and str(path) in said.out
    # The cache was made from the whole file; without it nothing may be made from the damaged one.
    shutil.rmtree(home / "data_catalog" / "cache")
    shutil.rmtree(home / "data_catalog" / "scans")
    for words in (
        ["scan", "m"],
        ["backtest", "m", "--config", home / "config.toml", "--out", tmp_path / "o"],
        ["sweep", home / "study.toml"],
    ):
        done = call(home, *words)
        assert done.code == 2 and done.out == ""
        assert "digest differs from the manifest's" in done.complaint and str(path) in done.complaint
    assert not (tmp_path / "o").exists() and not (home / "data_catalog" / "scans").exists()


def test_a_truncated_or_missing_data_file(home: Path, call: Call) -> None:
    path = some_day(home)
    path.write_bytes(path.read_bytes()[:-1])
    assert str(path) in call(home, "scan", "m").complaint
    assert call(home, "data", "verify", "m").code == 1
    path.unlink()
    assert "data file is missing" in call(home, "scan", "m").complaint
    assert call(home, "data", "verify", "m").code == 1


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", None])
def test_a_damaged_manifest(home: Path, call: Call, data: bytes | None) -> None:
    path = home / "data_catalog" / "m.json"
    path.write_bytes(path.read_bytes().replace(b'"spacing_ns": 60', b'"spacing_ns": 61') if data is None else data)
    for words in ("scan m", "data show m", "data verify m"):
        done = call(home, *words.split())
        assert done.code == 2 and str(path) in done.complaint
    assert call(home, "data", "list").code == 0


@pytest.mark.parametrize("how", ["flip", "truncate"])
def test_a_damaged_cache_is_rebuilt_without_a_word(home: Path, tmp_path: Path, call: Call, how: str) -> None:
    files = list((home / "data_catalog" / "cache").rglob("*.npy"))
    assert len(files) > 5
    for path in files:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data if how == "flip" else data[:-8])
    done = call(home, "backtest", "m", "--config", home / "config.toml", "--out", tmp_path / "o")
    assert (done.code, done.err) == (0, "")
    for file in ("trades.parquet", "equity.parquet", "digests.parquet", "metrics.json"):
        assert (tmp_path / "o" / file).read_bytes() == (home / "runs" / "run" / file).read_bytes()


def test_a_damaged_scan_file_is_named(home: Path, call: Call) -> None:
    path = home / "data_catalog" / "scans" / "m" / "2025-01-02.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    shutil.rmtree(home / "data_catalog" / "cache")
    done = call(home, "backtest", "m", "--config", home / "config.toml", "--out", home / "runs" / "o")
    assert done.code == 2 and str(path) in done.complaint and "run 'dolphin scan m'" in done.complaint
    assert not (home / "runs" / "o").exists()
