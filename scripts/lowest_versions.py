"""The oldest packages that ``pyproject.toml`` allows, installed and tried: ``make test-lowest``.

For each Python that the package allows and that is found here, uv resolves every direct dependency (extras of ``all``
aside) to its lowest allowed version, installs them into ``build/lowest``, and a small part of the fast suite runs on
them. Where the package index cannot be reached this is skipped, with the reason; a set of versions that does not exist
or does not work fails.

Exit 0: passed or skipped; 1: failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "lowest"
VERSIONS = ("3.12", "3.13")
#: What is run: a kernel, configs, data in and out, indicators, a study, pages, the command line.
SUBSET = (
    "tests/core/test_book.py",
    "tests/core/test_strategy.py",
    "tests/config",
    "tests/features/test_plugin.py",
    "tests/catalog/readers",
    "tests/catalog/query",
    "tests/study/samplers",
    "tests/study/space",
    "tests/report/test_sheet.py",
    "tests/api",
    "tests/cli/test_sweep_verb.py",
    "tests/cli/test_data_quality.py",
)
#: What these need beside the package itself.
TOOLS = ("pytest>=8.4", "hypothesis>=6.130", "openpyxl>=3.1", "fastexcel>=0.12", "scikit-learn>=1.7")
#: How uv says that nobody answered, in words of its messages.
OFFLINE = ("Failed to fetch", "error sending request", "Could not connect", "dns error", "Network is unreachable")


class Skipped(Exception):
    """Nothing to try it with."""


class Failed(Exception):
    """A version that is allowed is not there, or does not work."""


def main() -> int:
    """Try each Python; say what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", action="append", choices=VERSIONS, help="Only this one; repeatable.")
    parser.add_argument("--all", action="store_true", help="Resolve the extras of 'all', too (nothing more is run).")
    wanted = parser.parse_args()
    outcome = 0
    for version in wanted.python or VERSIONS:
        began = time.monotonic()
        try:
            count = attempt(version, wanted.all)
        except Skipped as reason:
            print(f"lowest versions, Python {version}: skipped: {reason}")
        except Failed as reason:
            print(f"lowest versions, Python {version}: FAILED: {reason}")
            outcome = 1
        else:
            print(f"lowest versions, Python {version}: passed with {count}, {time.monotonic() - began:.0f} s")
    return outcome


def attempt(version: str, extras: bool) -> str:
    """Resolve, install, run; what was installed, in words."""
    python, uv = interpreter(version), find_uv()
    HOME.mkdir(parents=True, exist_ok=True)
    pins, venv = HOME / f"{version}.txt", HOME / version
    resolve = [*uv, "pip", "compile", "--quiet", "--resolution", "lowest-direct", "--python", python]
    resolve += ["--python-version", version, "--only-binary", ":all:", "--no-header", "--no-annotate"]
    if extras:
        ask([*resolve, "--extra", "all", "pyproject.toml", "-o", str(HOME / f"{version}-all.txt")])
    ask([*resolve, "pyproject.toml", "-o", str(pins)])
    ask([*uv, "venv", "--quiet", "--allow-existing", "--python", python, str(venv)])
    inside = str(venv / "bin" / "python")
    ask([*uv, "pip", "install", "--quiet", "--python", inside, "-r", str(pins), *TOOLS, "-c", str(pins)])
    # Its metadata is read, too: a run says its own version.
    ask([*uv, "pip", "install", "--quiet", "--python", inside, "--no-deps", "--editable", str(ROOT)])
    done = subprocess.run(
        [inside, "-m", "pytest", "-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", *SUBSET],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(HOME / f"kernels-{version}")},
        check=False,
    )
    if done.returncode:
        raise Failed(f"pytest ended with {done.returncode}; the versions are in {pins.relative_to(ROOT)}")
    direct = [line for line in pins.read_text().split() if line.partition("==")[0] in ("numba", "numpy", "polars")]
    return ", ".join(direct)


def ask(words: list[str]) -> None:
    """Run uv; tell an index that does not answer from versions that cannot be had."""
    done = subprocess.run(words, cwd=ROOT, text=True, capture_output=True, check=False)
    if done.returncode == 0:
        return
    if any(sign in done.stderr for sign in OFFLINE):
        raise Skipped("the package index cannot be reached")
    raise Failed(done.stderr.strip() or f"uv ended with {done.returncode}")


def interpreter(version: str) -> str:
    """A Python of that version: on the path, or pyenv's."""
    if sys.version_info[:2] == tuple(int(part) for part in version.split(".")):
        return getattr(sys, "_base_executable", sys.executable)
    found = shutil.which(f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    kept = sorted(pyenv.glob(f"{version}.*/bin/python{version}"))
    for candidate in (*([found] if found else []), *map(str, kept)):
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    raise Skipped(f"no Python {version} on this machine")


def find_uv() -> list[str]:
    """uv of this environment, of the path, or installed beside the results."""
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    if found := shutil.which("uv"):
        return [found]
    target = HOME / "uv"
    if not (target / "bin" / "uv").exists():
        words = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
            str(target),
        ]
        if subprocess.run([*words, "uv"], capture_output=True, check=False).returncode:
            raise Skipped("uv is not installed and cannot be fetched")
    return [str(target / "bin" / "uv")]


if __name__ == "__main__":
    sys.exit(main())
