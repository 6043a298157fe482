"""A disk that fills: one line in the system's words, the exit code 2, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment, tree
from thorough import thorough

#: Files may grow to so many bytes in this process; the kernel then says what it says of a full disk.
LIMITED = """\
import resource, signal, sys
from dolphin.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", thorough([1_000, 5, 100, 5_000, 20_000, 100_000]))
def test_the_line_is_in_clear_words(home: Path, limit: int) -> None:
    before = tree(home)
    for words in (
        "data generate --name n --preset edge --days 3 --assets 8 --spacing 1m --seed 3",
        f"backtest m --config {home}/config.toml --out {home}/runs/full",
    ):
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(limit), *words.split()],
            capture_output=True, text=True, timeout=120, env=environment(home),
        )  # fmt: skip
        if done.returncode == 0:
            assert limit > 10_000
            continue
        assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1, done.stderr
        assert "File too large" in done.stderr or "the disk took only a part of the file" in done.stderr
        assert "thrift" not in done.stderr and "specification" not in done.stderr and "os error" not in done.stderr
        assert not (home / "runs" / "full").exists()
        after = tree(home)
        assert {k: v for k, v in after.items() if k in before} == before
        assert not [path for path in after if path.endswith((".part", ".old"))]
