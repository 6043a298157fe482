"""The jobs: what service.toml says, what is due, what was missed, and running it."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from dolphin.errors import BadInput, Busy, DolphinError
from dolphin.service.jobs import JobRunner
from dolphin.service.schedule import DEFAULT, Job, read_plan
from dolphin.stores.conformance import until
from dolphin.times import DAY_NS, SECOND_NS, format_time, parse_time

HOUR = 3600 * SECOND_NS
NOW = parse_time("2026-03-02T00:07:00Z")
#: Stands for dolphin: writes its arguments to a file, or fails.
PROGRAM = "import sys; open('ran', 'a').write(' '.join(sys.argv[1:]) + '\\n'); sys.exit('fail' in sys.argv)"


def plan(tmp_path, text):
    (tmp_path / "service.toml").write_text(text)
    return read_plan(tmp_path / "service.toml")


def runner(tmp_path, *jobs):
    return JobRunner(tmp_path / "service", jobs, tmp_path, [sys.executable, "-S", "-c", PROGRAM])


def job(name="proof", every=DAY_NS, at=5 * 60 * SECOND_NS, words=("parity", "{yesterday}"), catch_up=20 * HOUR):
    return Job(name, every, at, words, catch_up, 60.0)


def test_the_default_plan_is_that_of_the_specification(tmp_path):
    jobs = {one.name: one for one in plan(tmp_path, DEFAULT).jobs}
    assert (jobs["nightly_proof"].every_ns, jobs["nightly_proof"].at_ns) == (DAY_NS, 5 * 60 * SECOND_NS)
    assert jobs["green"].at_ns == 10 * 60 * SECOND_NS
    assert jobs["forewarner"].every_ns == 4 * HOUR
    assert jobs["green"].arguments(jobs["green"].due(NOW + HOUR))[-1] == "runs/green_2026-03-01"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[jobs.a]\nat = "25:00"\nrun = "scan"', "'25:00' is no time of day"),
        ('[jobs.a]\nevery = "7h"\nrun = "scan"', "does not divide a day"),
        ('[jobs.a]\nevery = "4h"\nat = "00:05"\nrun = "scan"', "either at"),
        ('[jobs.a]\nat = "00:05"', "nothing to run"),
        ('[jobs.a]\nat = "00:05"\nrum = "scan"', "did you mean 'run'"),
        ('[job.a]\nat = "00:05"', "did you mean 'jobs'"),
        ("jobs = 3", "are tables"),
        ("[jobs", "not readable"),
    ],
)
def test_a_plan_that_cannot_be_is_one_line(tmp_path, text, line):
    with pytest.raises(DolphinError, match=line):
        plan(tmp_path, text)


def test_when_it_is_due():
    daily, often = job(), job(every=4 * HOUR, at=0)
    assert format_time(daily.due(NOW)) == "2026-03-02T00:05:00Z"
    assert format_time(daily.due(NOW - 3 * 60 * SECOND_NS)) == "2026-03-01T00:05:00Z"
    assert format_time(often.due(NOW + 5 * HOUR)) == "2026-03-02T04:00:00Z"
    assert daily.arguments(daily.due(NOW)) == ["parity", "2026-03-01"]


def test_a_run_is_made_once_and_what_was_missed_is_made_up_for(tmp_path):
    one = job()
    jobs = runner(tmp_path, one)
    jobs.register(NOW)
    assert jobs.missed(NOW) == []  # it is new
    later = NOW + 3 * DAY_NS
    assert jobs.missed(later) == [(one, one.due(later))]  # the newest alone
    assert jobs.missed(later + 21 * HOUR) == []  # too late for it
    assert jobs.run(one, one.due(later)) == 0
    assert jobs.run(one, one.due(later)) is None
    assert jobs.missed(later) == []
    assert (tmp_path / "ran").read_text() == "parity 2026-03-04\n"
    assert runner(tmp_path, one).last()["proof"]["code"] == 0  # another process knows


def test_a_failure_is_kept_with_its_last_lines(tmp_path):
    bad = job("bad", words=("fail",))
    loud = JobRunner(tmp_path / "s", [bad], tmp_path, [sys.executable, "-S", "-c", "raise SystemExit('it is broken')"])
    assert loud.run(bad, NOW) == 1
    assert loud.last()["bad"]["tail"] == ["it is broken"]
    none = JobRunner(tmp_path / "s", [bad], tmp_path, ["/no/such/program"])
    assert none.run(bad, NOW + DAY_NS) == 127
    slow = Job("slow", DAY_NS, 0, ("x",), DAY_NS, 0.2)
    hang = JobRunner(tmp_path / "s", [slow], tmp_path, [sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    assert hang.run(slow, NOW) == 124


def test_it_serves_missed_runs_first_then_the_schedule_and_alone(tmp_path):
    missed, often = job("missed", words=("missed",)), job("often", every=SECOND_NS, at=0, words=("often",))
    jobs = runner(tmp_path, missed, often)
    jobs.register(time.time_ns() - 2 * DAY_NS)
    missed = Job("missed", DAY_NS, 0, ("missed",), DAY_NS, 60.0)
    jobs = runner(tmp_path, missed, often)
    stop = threading.Event()
    thread = threading.Thread(target=jobs.serve, args=(stop,))
    thread.start()
    ran = tmp_path / "ran"
    until(lambda: ran.exists() and {"missed", "often"} <= set(ran.read_text().split()), "both")
    until(lambda: ran.read_text().split().count("often") >= 2, "again")
    with pytest.raises(Busy, match="another process runs the jobs"):
        runner(tmp_path, missed).serve(threading.Event())
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
    assert ran.read_text().split().count("missed") == 1


def test_keys_are_checked(tmp_path):
    with pytest.raises(BadInput, match="a table of texts"):
        plan(tmp_path, "[jobs]\na = 3")
