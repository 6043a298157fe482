"""The keys of a live session, looked for in everything that it and the commands around it write or say."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from base64 import b64encode
from hashlib import sha256
from http.cookiejar import CookieJar

import polars as pl
import pytest
from command_line import command, environment
from drill_for_tests import until
from live_drill_for_tests import KEYS, LiveDrill

from dolphin.catalog import open_dataset
from dolphin.config import parse_config
from dolphin.core.engine import engine_for
from dolphin.features import scanner_digest
from dolphin.files import sha256_bytes
from dolphin.gate.champions import install
from dolphin.gate.freeze import runtime, sources
from dolphin.workspace import Workspace

#: Rows around midnight, so that a day is closed and brought into the catalog.
START, STOP = 2872, 2890
SHORT = {
    "params": {
        "direction": "short_only", "short_threshold": -0.0005, "short_extreme": -0.02, "vol_gate_mode": "off",
        "tp_pct": 0.002, "stop_pct": 0.004, "max_hold_bars": 2,
    },
    "friction": {"slippage_bps": 0.0, "fee_bps": 5.0},
}  # fmt: skip

#: What breaks in a session, with the secret in its words.
FORCED = """
import os, sys
from dolphin.cli import main
from dolphin.live.binance.feed import BinanceFeed
from dolphin.trade.live.session import LiveSession

def breaks(*given):
    raise RuntimeError("forced with " + os.environ["BINANCE_API_SECRET"] + " and " + os.environ["BINANCE_API_KEY"])

setattr({"feed": BinanceFeed, "session": LiveSession}[sys.argv[1]], sys.argv[2], breaks)
sys.exit(main(sys.argv[3:]))
"""


@pytest.fixture
def drill(home, tmp_path):
    workspace, config = Workspace(home), parse_config(SHORT, where="short")
    freeze(workspace, config)
    with LiveDrill(workspace, open_dataset(workspace, "m"), config, START, STOP, home / "runs/trade/live-blue") as one:
        yield one


def freeze(workspace, config):
    """A champion that no gate has seen, whose files, engine and sources are those of here."""
    own = {name: sha256_bytes(data) for name, data in sources(config.strategy).items()}
    provenance = {
        "engine_digest": engine_for(config.strategy).digest, "scanner_digest": scanner_digest(),
        "strategy": {"name": config.strategy_name, "sources": own}, **runtime(workspace),
    }  # fmt: skip
    contents = {
        "config.json": {"config": config.document(), "hash": config.hash}, "run.json": {"dataset": {"name": "m"}},
        "provenance.json": provenance,
    }  # fmt: skip
    written = {name: json.dumps(document).encode() for name, document in contents.items()}
    install(workspace, written | sources(config.strategy), pointer="blue", reason="a drill")


class Told:
    """All that was said, and what must not be in it."""

    def __init__(self):
        self.texts = []
        secret = KEYS.secret.encode()
        self.planted = [KEYS.key.encode(), secret, b64encode(secret)[:-2], sha256(secret).hexdigest().encode()]
        self.planted += [secret.hex().encode(), KEYS.key[:16].encode(), secret[:16]]

    def take(self, where, *texts):
        for text in texts:
            data = text if isinstance(text, bytes) else str(text).encode()
            assert not any(one in data for one in self.planted), f"a key in {where}"
            self.texts.append((where, len(data)))

    def files(self, folder):
        for path in folder.rglob("*"):
            if path.is_file():
                self.take(path, path.read_bytes(), path.name)
                if path.suffix == ".parquet":
                    self.take(path, pl.read_parquet(path).write_ndjson())


def keyed(home):
    return environment(home) | {"BINANCE_API_KEY": KEYS.key, "BINANCE_API_SECRET": KEYS.secret}


def live(drill, home, *before, more=()):
    """The command in a process of its own."""
    arguments = ["trade", "live", "--exchange-url", drill.exchange.url, "--i-understand", "--json", *more]
    whole = command(*arguments) if not before else [sys.executable, "-c", FORCED, *before, *arguments]
    return subprocess.Popen(
        whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=keyed(home), cwd=home, text=True
    )  # fmt: skip


def listens(drill, process):
    def heard():
        assert process.poll() is None, process.communicate()
        state = drill.thread.control()
        return state["kline_listeners"] >= len(drill.dataset.symbols) and state["users"]

    until(heard, "nobody listens")


def plays(drill, process, first, last, during=None):
    for bar in range(first, last + 1):
        listens(drill, process)
        drill.thread.control(**(during or {}).get(bar, {}), bar=1)
        until(lambda bar=bar: (drill.closed() or -1) >= bar or process.poll() is not None, f"bar {bar}")


def ui(home, told):
    """The session's pages, as a browser gets them."""
    running = subprocess.Popen(
        command("ui", "--port", "0", "--no-browser"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=keyed(home),
    )  # fmt: skip
    try:
        entry = running.stdout.readline().strip()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        for page in ("", "/sessions", "/session/live-blue", "/datasets", "/champions"):
            address = entry if not page else entry.partition("/enter")[0] + page
            with browser.open(address, timeout=60) as answer:
                told.take(page, answer.read(), answer.headers)
        running.send_signal(signal.SIGINT)
        told.take("ui", *running.communicate(timeout=60))
    finally:
        running.kill()
        running.communicate()


@pytest.mark.slow
def test_no_output_of_a_live_session_holds_a_key(drill, home, tmp_path):
    told = Told()
    refusal = {"fault": {"where": "POST /fapi/v1/order", "status": 400, "code": -2019}}
    doubt = {"fault": {"where": "POST /fapi/v1/order", "status": 503, "code": -1007, "after": True}}
    process = live(drill, home)
    try:
        plays(drill, process, START, START + 12, {START + 1: refusal, START + 4: doubt, START + 7: {"drop_user": True}})
        until(drill.folder.status.exists, "no status")
        for words in ("status --json", "trade watch --once", "status", "journal show --json"):
            more = [drill.folder.newest_journal()] if words.startswith("journal") else []
            done = subprocess.run(
                command(*words.split(), *more), capture_output=True, text=True, timeout=120, env=keyed(home), cwd=home
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            told.take(words, done.stdout, done.stderr)
        ui(home, told)
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "positions stay open" in err, err
    told.take("trade live", out, err)
    page = tmp_path / "proof.html"
    done = subprocess.run(
        command("parity", drill.state, "--against", "research", "--html", page), capture_output=True, text=True,
        timeout=120, env=keyed(home), cwd=home,
    )  # fmt: skip
    told.take("parity", done.stdout, done.stderr, page.read_bytes() if page.exists() else b"")
    assert done.returncode in (0, 1) and page.exists() == bool(done.returncode), done.stderr
    for what, name in (("feed", "bar"), ("session", "begins"), ("session", "_trader")):
        broken = live(drill, home, what, name)
        try:
            if name != "_trader":
                listens(drill, broken)
                drill.thread.control(bar=1)
            out, err = broken.communicate(timeout=120)
        finally:
            broken.kill()
        assert broken.returncode not in (0, None) and "forced with *** and ***" in err, err
        told.take(f"{what}.{name}", out, err)
    told.files(home)
    assert any(str(where).endswith(".parquet") and "journals" in str(where) for where, _ in told.texts)
