from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from thorough import thorough

from dolphin.catalog import open_dataset
from dolphin.cli.exchange import _recorded, _shift, _tape
from dolphin.cli.trade_live import CONSENT, require_consent
from dolphin.errors import DolphinError
from dolphin.gate.champions import install
from dolphin.workspace import Workspace, create


@pytest.mark.parametrize("number", thorough([signal.SIGINT, signal.SIGTERM]))
def test_an_exchange_serves_until_it_is_ended_in_the_background_of_a_script_too(number):
    serve = "exchange serve --symbols aausdt,BBUSDT --port 0 --speed 0 --played 5"
    command = [sys.executable, "-m", "dolphin", *serve.split()]
    # A shell without job control has what runs behind an ampersand ignore SIGINT, and that is inherited.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        url = re.search(rb"http://127.0.0.1:\d+", process.stderr.readline()).group().decode()
        with urllib.request.urlopen(f"{url}/fapi/v1/exchangeInfo", timeout=30) as answer:
            assert [one["symbol"] for one in json.load(answer)["symbols"]] == ["AAUSDT", "BBUSDT"]
        with urllib.request.urlopen(f"{url}/fapi/v1/klines?symbol=AAUSDT&interval=1m", timeout=30) as answer:
            assert len(json.load(answer)) == 5
        process.send_signal(number)
        assert process.wait(60) == 130 and process.stderr.read().startswith(b"dolphin: interrupted")


def test_a_dataset_is_played_bar_for_bar(pristine):
    dataset = open_dataset(Workspace(pristine), "m")
    tape = _recorded(dataset, [dataset.symbols[1]], (int(dataset.first_ts), None))
    assert tape.interval == "1m" and len(tape.close_ms) == dataset.n_bars
    assert tape.rules[0].symbol == dataset.symbols[1]
    tape.at = 3
    _shift(tape)
    assert tape.close_ms[4] - tape.close_ms[3] == 60_000 and tape.close_ms[3] > 1_700_000_000_000


def test_nothing_to_play_is_said():
    with pytest.raises(DolphinError, match="neither --dataset nor --symbols"):
        _tape(None, None, (None, None), 0)


def test_a_champion_trades_only_after_somebody_consented_once(tmp_path):
    home = create(tmp_path / "home")
    champion = install(home, {"config.json": b"{}"}, pointer="blue", reason="a test")
    with pytest.raises(DolphinError, match="nobody has consented"):
        require_consent(home, champion, False)
    require_consent(home, champion, True)
    require_consent(home, champion, False)
    lines = (home.promote / "audit.jsonl").read_text().splitlines()
    assert sum(CONSENT in line for line in lines) == 1
    other = install(home, {"config.json": b"{ }"}, pointer="blue", reason="another")
    with pytest.raises(DolphinError, match="nobody has consented"):
        require_consent(home, other, False)
