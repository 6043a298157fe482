"""A paper session on the scans of another program decides what one on the replayed dataset decides."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from small_market import BUSY

from dolphin.catalog.store.scan_layout import FEATURES
from dolphin.errors import BadInput, NotFound
from dolphin.live.feeds.scan_record import ScanRecord, to_arrow
from dolphin.market.assemble import feature_columns
from dolphin.stores.conformance import until
from dolphin.trade.scan_feeds import scans_of_folder, scans_of_store


def scans_of(dataset):
    """Every row of the dataset as a scan; a price that is not real is not in it."""
    prices, ts = dataset.prices(), dataset.grid()
    columns = feature_columns(dataset)
    for i in range(len(ts)):
        real = np.flatnonzero(prices.age[i] == 0)
        row = {dataset.symbols[k]: float(prices.close[i, k]) for k in real}
        yield ScanRecord(int(ts[i]), i, {name: float(columns[name][i]) for name in FEATURES}, row, "made")


def write(folder, scan):
    (folder / ".scan").write_bytes(to_arrow(scan))
    (folder / ".scan").replace(folder / f"scan_{scan.number}.arrow")


def test_what_names_no_market_is_one_line(home, tmp_path):
    with pytest.raises(BadInput, match="store:URL@DATASET"):
        scans_of_store(home, "embedded")
    (tmp_path / "in").mkdir()
    with pytest.raises(NotFound, match="fewer than two scans"):
        scans_of_folder(home, str(tmp_path / "in"))


def test_a_dataset_tells_the_market(home, dataset, tmp_path):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in", next(scans_of(dataset)))
    feed, about = scans_of_folder(home, f"{tmp_path / 'in'}@m")
    assert feed.symbols == dataset.symbols
    assert (feed.spacing_ns, feed.reference) == (dataset.spacing_ns, dataset.reference)
    assert about["spacing_ns"] == dataset.spacing_ns


@pytest.mark.slow
def test_a_session_on_scans_decides_as_one_on_the_dataset(home, dataset, tmp_path):
    folder, begin, stop = tmp_path / "in", 2000, 2300
    folder.mkdir()
    scans = list(scans_of(dataset))
    for scan in scans[:begin]:
        write(folder, scan)
    config = home.root / "busy.toml"
    config.write_text("[params]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in BUSY["params"].items()))
    assert tomllib.loads(config.read_text()) == BUSY
    env = os.environ | {"DOLPHIN_HOME": str(home.root)}
    command = [sys.executable, "-m", "dolphin", "trade", "paper", "--config", str(config), "--json"]
    session = subprocess.Popen(
        [*command, "--feed", f"scans:{folder}@m", "--state", str(tmp_path / "a")],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    # It has opened the feed once its state folder is there; what is written from then on is traded on.
    until(lambda: (tmp_path / "a" / "session.json").exists() or session.poll() is not None, "the session begins", 180.0)
    for scan in scans[begin:stop]:
        write(folder, scan)
    until(Still(tmp_path / "a" / "journal", session), "it has taken what there is", 180.0)
    session.send_signal(signal.SIGINT)
    out, err = session.communicate(timeout=120)
    assert session.returncode == 130, err
    here = json.loads(out)["status"]
    assert here["bar"] >= begin + 100
    # The same window, however far it came, replayed from the dataset.
    first, last = (np.datetime64(scans[k].ts, "ns").astype("datetime64[s]") for k in (begin, here["bar"] + 1))
    replay = ["--feed", "replay:m", "--speed", "0", "--from", str(first), "--to", str(last)]
    replayed = subprocess.run(
        [*command, *replay, "--state", str(tmp_path / "b")],
        env=env, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    there = json.loads(replayed.stdout)["status"]
    assert here["bar"] == there["bar"]
    assert here["trades"] == there["trades"] > 0
    assert here["digest"] == there["digest"]


class Still:
    """True once a journal has begun and not grown for three seconds, or its process is gone."""

    def __init__(self, folder: Path, process: subprocess.Popen) -> None:
        self.folder, self.process = folder, process
        self.size, self.since = 0, time.monotonic()

    def __call__(self) -> bool:
        size = sum(path.stat().st_size for path in self.folder.glob("*.arrow"))
        if size != self.size:
            self.size, self.since = size, time.monotonic()
        return self.process.poll() is not None or (size > 0 and time.monotonic() - self.since > 3.0)
