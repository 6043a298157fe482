"""Units, the compose file, the status port, and the score of the whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from dolphin.cli import main
from dolphin.errors import DolphinError, NotFound
from dolphin.service.health import meta_health
from dolphin.service.records import status_records
from dolphin.service.status_port import StatusPort
from dolphin.service.units import compose_text, control, install, services_of, unit_text
from dolphin.stores.embedded import Embedded
from dolphin.stores.looking import look_at
from dolphin.stores.names import SAFETY


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return answer.read().decode()


@pytest.fixture
def store(tmp_path):
    one = Embedded(tmp_path / "store")
    yield one
    one.close()


def fill(store):
    store.put("DOLPHIN_STATE_BLUE", "latest", {"capital": 25_100.5, "roi": 0.004, "trades": 7, "vol_ok": True})
    store.put(SAFETY, "latest", {"posture": "STALKER", "Rm": 0.5, "breakdown": {"Cat1": 1.0, "Cat2": 0.5}})


def test_prometheus_reads_what_the_store_says(store):
    fill(store)
    serving = StatusPort(lambda: status_records(store))
    families = {one.name: one for one in text_string_to_metric_families(get(serving.port, "/metrics"))}
    document = json.loads(get(serving.port, "/status.json"))
    assert get(serving.port, "/healthz") == "ok\n"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(serving.port, "/other")
    serving.close()
    samples = {(s.name, s.labels["section"]): s.value for one in families.values() for s in one.samples}
    assert samples["dolphin_capital", "blue"] == 25_100.5
    assert samples["dolphin_trades", "blue"] == 7.0
    assert samples["dolphin_breakdown_cat2", "safety"] == 0.5
    assert samples["dolphin_nodes", "store"] == 1.0
    assert families["dolphin_posture"].samples[0].labels == {"section": "safety", "posture": "STALKER"}
    assert document["blue"]["capital"] == 25_100.5
    assert document["meta_health"]["worst"] == "posture"


def test_what_cannot_be_read_is_a_503_and_a_taken_port_one_line():
    def broken():
        raise DolphinError("the store is gone")

    serving = StatusPort(broken)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        get(serving.port, "/metrics")
    with pytest.raises(DolphinError, match="choose another --port"):
        StatusPort(broken, serving.port)
    serving.close()


def test_another_process_may_look_at_an_embedded_store(store, tmp_path):
    fill(store)
    assert store.settle(20)
    look = look_at(store.url)
    assert look.get("DOLPHIN_STATE_BLUE", "latest").value["trades"] == 7
    assert look.health().nodes == 1
    store.put("DOLPHIN_STATE_BLUE", "latest", {"trades": 8})
    assert store.settle(20)
    assert look.get("DOLPHIN_STATE_BLUE", "latest").value["trades"] == 8
    assert look.get(SAFETY, "nothing") is None
    store.close()
    assert look.health().nodes == 0
    look.close()


def test_the_score_is_its_worst_part_of_seven():
    good = {
        "blue": {"age_seconds": 1.0}, "safety": {"age_seconds": 1.0, "posture": "APEX"}, "breaker": {"ready": True},
        "store": {"nodes": 1, "silent_seconds": 0.1, "pending": 0}, "job_scan": {"code": 0},
    }  # fmt: skip
    assert meta_health(good)["score"] == 1.0
    assert len(meta_health(good)["parts"]) == 7
    for section, change, worst, score in (
        ("blue", {"age_seconds": 75.0}, "session", 0.5),
        ("safety", {"age_seconds": 500.0, "posture": "APEX"}, "safety", 0.0),
        ("safety", {"age_seconds": 1.0, "posture": "TURTLE"}, "posture", 0.4),
        ("store", {"nodes": 0, "silent_seconds": 0.0}, "store", 0.0),
        ("store", {"nodes": 1, "silent_seconds": 0.0, "pending": 400}, "backlog", 0.6),
        ("breaker", {"ready": False}, "breaker", 0.5),
        ("job_scan", {"code": 1}, "jobs", 0.0),
    ):
        found = meta_health(good | {section: change})
        assert (found["worst"], found["score"]) == (worst, score)
    assert meta_health({})["score"] == 0.0


def test_systemd_takes_the_units(tmp_path):
    root = tmp_path / "a work $pace"
    root.mkdir()
    written = install(services_of(("trade", "paper", "--feed", "scans:in put")), root, tmp_path / "units")
    assert [path.name for path in written] == [
        "dolphin-jobs.service", "dolphin-status.service", "dolphin-session.service",
    ]  # fmt: skip
    text = written[2].read_text()
    assert "-m dolphin service watch -- " in text
    assert '"scans:in put"' in text
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here that would verify units")
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", *map(str, written)], capture_output=True, text=True, check=False
    )
    told = [line for line in (done.stdout + done.stderr).splitlines() if "dolphin-" in line]
    assert told == []


def test_the_compose_file_is_one(tmp_path):
    found = yaml.safe_load(compose_text(services_of(("trade", "paper")), tmp_path))
    assert set(found["services"]) == {"store", "jobs", "status", "session"}
    assert found["services"]["session"]["command"] == ["dolphin", "service", "watch", "--", "dolphin", "trade", "paper"]
    assert found["services"]["store"]["ports"] == ["127.0.0.1:5701:5701"]


def test_install_writes_a_plan_and_units_and_status_reads_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DOLPHIN_HOME", str(tmp_path / "w"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert main(["service", "status"]) == 2  # nothing yet: one line
    assert "dolphin service install" in capsys.readouterr().err
    assert main(["service", "install", "--session", "trade paper", "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert written[0].endswith("service.toml")
    assert len(written) == 4
    own = (tmp_path / "w" / "service.toml").read_text()
    (tmp_path / "w" / "service.toml").write_text(own + "# mine\n")
    assert main(["service", "install", "--compose", str(tmp_path / "compose.yaml")]) == 0
    assert (tmp_path / "w" / "service.toml").read_text().endswith("# mine\n")  # what is there stays
    assert (tmp_path / "compose.yaml").exists()
    capsys.readouterr()
    assert main(["service", "status", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["services"] == ["jobs", "session", "status"]
    assert [job["job"] for job in document["jobs"]] == ["scan", "nightly_proof", "green", "forewarner"]
    assert main(["service", "run-jobs", "--once", "scam"]) == 2
    assert "did you mean 'scan'" in capsys.readouterr().err


def test_a_service_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if shutil.which("systemctl") is None:
        pytest.skip("no systemd here")
    with pytest.raises(NotFound, match="no service is installed"):
        control("start", ())
    install(services_of(), tmp_path)
    with pytest.raises(NotFound, match="did you mean 'jobs'"):
        control("start", ("job",))
    assert unit_text(services_of()[0], tmp_path).startswith("# Written by")
