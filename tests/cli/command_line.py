"""Ways to run the command, and small inputs for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
import pytest

from dolphin.cli import main

MINUTE = 60_000  # ms
FIRST_OPEN = 1_735_689_600_000 - 30 * MINUTE  # 2024-12-31T23:30Z: an hour of bars lies across midnight

CONFIG = """\
[params]
direction = "bidirectional"
short_threshold = -0.004
short_extreme = -0.02
long_threshold = 0.004
long_extreme = 0.02
vol_gate_mode = "min"
vol_p60 = "p60"
tp_pct = 0.002
max_hold_bars = 30
"""

STUDY = """\
dataset = "m"
trials = {trials}
config = "config.toml"
[search]
tp_pct = {{ low = 0.001, high = 0.01 }}
max_hold_bars = {{ low = 5, high = 60 }}
short_threshold = {{ low = -0.01, high = -0.001 }}
"""


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout as the one JSON document that it must be."""
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("dolphin: "), self.err
        assert "Traceback" not in self.err
        return lines[0]


def klines(symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT"), bars: int = 60, step: int = MINUTE) -> pl.DataFrame:
    """Tidy klines with open times in ms."""
    rng = np.random.default_rng(7)
    frames = []
    for symbol in symbols:
        cents = 10_000 + np.cumsum(rng.integers(-20, 21, bars + 1))
        first, last = cents[:-1] / 100, cents[1:] / 100
        prices = {"open": first, "high": np.maximum(first, last), "low": np.minimum(first, last), "close": last}
        ts = FIRST_OPEN + step * np.arange(bars)
        volume = rng.integers(1, 10_000, bars) / 1000
        frames.append(pl.DataFrame({"symbol": [symbol] * bars, "ts": ts, **prices, "volume": volume}))
    return pl.concat(frames)


def write_source(folder: Path, *frames: pl.DataFrame) -> Path:
    """Frames as Parquet files of a folder."""
    folder.mkdir()
    for number, frame in enumerate(frames):
        frame.write_parquet(folder / f"{number}.parquet")
    return folder


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder by relative path, locks and notes of checks aside; None for a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if path.name not in (".lock", "verified.json")
    }


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "DOLPHIN_HOME": str(home), "COLUMNS": "200"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "dolphin", *map(str, arguments)]


def process(home: Path, *arguments: object, **options: Any) -> Answer:
    """Run the command as a process of its own: for signals, limits, and the shell's view of it."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=300, env=environment(home), **options
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@contextmanager
def _caught(number: int) -> Iterator[IO[str]]:
    """What is written to a file descriptor within the block, by Python or by a library beneath it."""
    saved = os.dup(number)
    with tempfile.TemporaryFile("w+", newline="") as file:
        os.dup2(file.fileno(), number)
        try:
            yield file
        finally:
            file.flush()
            os.dup2(saved, number)
            os.close(saved)


def dolphin(home: Path, *arguments: object) -> Answer:
    """Run the command in this process, which saves its start of a second; the answer is that of :func:`process`."""
    with pytest.MonkeyPatch.context() as patch, _caught(1) as out, _caught(2) as err:
        for name, value in environment(home).items():
            patch.setenv(name, value)
        with redirect_stdout(out), redirect_stderr(err):
            code = main([str(argument) for argument in arguments])
        texts = []
        for file in (out, err):
            file.flush()
            file.seek(0)
            texts.append(file.read())
    return Answer(code, *texts)
