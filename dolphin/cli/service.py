"""``dolphin service``: what keeps a workspace running."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import Json, emit, note, say, table

app = typer.Typer(help="Units of the system, daily jobs, the watchdog, the status port.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Services: jobs, status, session; by default all installed.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", help="embedded, or hazelcast://host:port/cluster; by default service.toml's.")
]


@app.command("install")
def install(
    session: Annotated[str, typer.Option("--session", help="Arguments of the session, e.g. 'trade paper'.")] = "",
    port: Annotated[int, typer.Option("--port", help="Port of the status.")] = 9464,
    compose: Annotated[Path | None, typer.Option("--compose", help="Write a compose file there, no units.")] = None,
    as_json: Json = False,
) -> None:
    """Write service.toml if there is none, and units of systemd for this user (or a compose file)."""
    import shlex

    from dolphin import workspace
    from dolphin.files import write_bytes
    from dolphin.service import schedule, units

    root = workspace.find().root
    plan = root / schedule.FILE
    written = []
    if not plan.exists():
        write_bytes(plan, schedule.DEFAULT.encode())
        written.append(plan)
    services = units.services_of(shlex.split(session), port)
    if compose is not None:
        write_bytes(compose, units.compose_text(services, root).encode())
        written.append(compose)
    else:
        written += units.install(services, root)
    mend = "complete the jobs in service.toml, then 'dolphin service start'"

    def show() -> None:
        for path in written:
            say(str(path))
        say(mend)

    emit({"written": [str(path) for path in written], "next": mend}, as_json, show)


@app.command("start")
def start(names: Names = None) -> None:
    """Start services now, and at every login from now on."""
    from dolphin.service.units import control

    code = control("enable", names or ()) or control("restart", names or ())
    raise typer.Exit(2 if code else 0)


@app.command("stop")
def stop(names: Names = None) -> None:
    """Stop services, and start them no more."""
    from dolphin.service.units import control

    code = control("stop", names or ()) or control("disable", names or ())
    raise typer.Exit(2 if code else 0)


@app.command("status")
def status(names: Names = None, as_json: Json = False) -> None:
    """Services and jobs: what runs, what ran last, what comes next."""
    import time

    from dolphin import workspace
    from dolphin.errors import DolphinError
    from dolphin.service import schedule, units
    from dolphin.service.jobs import JobRunner

    root = workspace.find().root
    plan = schedule.read_plan(root / schedule.FILE)
    runner = JobRunner(root / "runs" / "service", plan.jobs, root)
    last, coming = runner.last(), dict(runner.next_runs(time.time_ns()))
    jobs = [{"job": job.name, "next": coming[job.name], "last": last.get(job.name)} for job in plan.jobs]

    def show() -> None:
        rows = []
        for job in jobs:
            run = job["last"] if isinstance(job["last"], dict) else {}
            rows.append((job["job"], job["next"], run.get("due", "-"), run.get("code", "-")))
        table(None, ("job", "next", "last due", "exit code"), rows)
        try:
            units.control("status", names or ())
        except DolphinError as error:
            note(f"dolphin: {error}")

    emit({"jobs": jobs, "services": units.installed()}, as_json, show)


@app.command("logs")
def logs(
    names: Names = None,
    lines: Annotated[int, typer.Option("--lines", help="How many.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", help="And what comes.")] = False,
) -> None:
    """What services wrote."""
    from dolphin.service import units

    raise typer.Exit(2 if units.logs(names or (), lines, follow) else 0)


@app.command("run-jobs")
def run_jobs(
    only: Annotated[str | None, typer.Option("--once", help="Run this job now, and end with its exit code.")] = None,
    no_catch_up: Annotated[bool, typer.Option("--no-catch-up", help="Do not make up for missed runs.")] = False,
) -> None:
    """Run the jobs of service.toml at their times until stopped."""
    import signal
    import threading
    import time

    from dolphin import workspace
    from dolphin.errors import NotFound, nearest
    from dolphin.service import schedule
    from dolphin.service.jobs import JobRunner

    root = workspace.find().root
    plan = schedule.read_plan(root / schedule.FILE)
    runner = JobRunner(root / "runs" / "service", plan.jobs, root)
    if only is not None:
        known = {job.name: job for job in plan.jobs}
        if only not in known:
            raise NotFound(f"no job '{only}'", where=schedule.FILE, mend=nearest(only, known))
        code = runner.run(known[only], time.time_ns())
        raise typer.Exit(0 if code == 0 else 1)
    for name, when in runner.next_runs(time.time_ns()):
        note(f"{name}: next at {when}")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    runner.serve(stop, catch_up=not no_catch_up)


@app.command("watch", context_settings={"ignore_unknown_options": True})
def watch(
    command: Annotated[list[str], typer.Argument(help="The command, after --.")],
    heartbeat: Annotated[Path | None, typer.Option("--heartbeat", help="File that it touches while it lives.")] = None,
    stale: Annotated[float, typer.Option("--stale", help="Seconds after which a heartbeat is old.")] = 60.0,
    attempts: Annotated[int, typer.Option("--attempts", help="Failures in a row before it gives up.")] = 6,
    first: Annotated[float, typer.Option("--first-wait", help="Seconds before the first restart, then doubled.")] = 1.0,
    longest: Annotated[float, typer.Option("--longest-wait", help="Seconds at most.")] = 60.0,
    settled: Annotated[float, typer.Option("--settled", help="Seconds after which a start counts as good.")] = 600.0,
    on_give_up: Annotated[str, typer.Option("--on-give-up", help="Command that tells somebody.")] = "",
) -> None:
    """Restart a command that dies or hangs, waiting longer each time; give up loudly (exit 1)."""
    import shlex

    from dolphin import workspace
    from dolphin.service.watchdog import Policy
    from dolphin.service.watchdog import watch as keep

    policy = Policy(first=first, longest=longest, settled=settled, attempts=attempts, heartbeat=heartbeat, stale=stale)
    events = workspace.find().root / "runs" / "service" / "watch.jsonl"
    raise typer.Exit(keep(command, policy, events, shlex.split(on_give_up)))


@app.command("status-port")
def status_port(
    port: Annotated[int, typer.Option("--port", help="On 127.0.0.1; 0 for a free one.")] = 9464,
    store: StoreUrl = None,
) -> None:
    """Serve the status of the store's records: /metrics for Prometheus, /status.json, /healthz."""
    import signal
    import threading

    from dolphin import workspace
    from dolphin.service import schedule
    from dolphin.service.jobs import JobRunner
    from dolphin.service.records import status_records
    from dolphin.service.status_port import StatusPort
    from dolphin.stores.looking import look_at
    from dolphin.stores.names import LATEST, META_HEALTH

    root = workspace.find().root
    plan = schedule.read_plan(root / schedule.FILE) if store is None else None
    shared = look_at(plan.store if plan else str(store))
    runner = JobRunner(root / "runs" / "service", plan.jobs if plan else (), root)
    serving = StatusPort(lambda: status_records(shared, runner), port)
    note(f"http://127.0.0.1:{serving.port}/metrics, /status.json and /healthz")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        while not stop.wait(10.0):
            write = getattr(shared, "put", None)  # a cluster's; an embedded store is its session's alone
            if write is not None:
                write(META_HEALTH, LATEST, status_records(shared, runner)["meta_health"])
    finally:
        serving.close()
        shared.close()
