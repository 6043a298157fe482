"""``dolphin forewarn``: train, judge and ask the forewarner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dolphin.cli.common import ConfigFile, Json, Sets, cluster_of, emit, load_config, progress_bar, say, table

app = typer.Typer(help="How likely a configuration is to lose much within days.", no_args_is_help=True)
Model = Annotated[Path, typer.Argument(help="File of the forewarner (JSON).")]
Html = Annotated[Path | None, typer.Option("--html", help="Verdict and reliability diagram as a page: one HTML file.")]
Study = Annotated[str, typer.Option("--study", help="Registered study whose configurations are run.")]


@app.command("train")
def train(
    name: Annotated[str, typer.Argument(help="Dataset.")],
    study: Study,
    out: Annotated[Path, typer.Option("--out", help="File of the forewarner.")],
    days: Annotated[float, typer.Option("--days", min=0.05, help="Length of a window.")] = 5.0,
    loss: Annotated[float, typer.Option("--loss", min=0.001, max=0.999, help="Drawdown that is a catastrophe.")] = 0.2,
    trials: Annotated[int, typer.Option("--trials", min=1, help="At most so many configurations.")] = 32,
    every: Annotated[str, typer.Option("--every", help="Time between the windows' starts.")] = "4h",
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Train on what a study's configurations lost, and say whether it has skill on windows that it has not seen."""
    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.study.forewarn.model import train_forewarner, write_forewarner
    from dolphin.study.forewarn.outcomes import configs_of
    from dolphin.times import parse_duration

    home = workspace.find()
    configs, dataset = configs_of(home, study, trials, seed), open_dataset(home, name)
    with progress_bar() as progress:
        found = train_forewarner(
            dataset, configs, days=days, loss=loss, every_ns=parse_duration(every), seed=seed, study=study,
            progress=progress,
        )  # fmt: skip
    write_forewarner(found, out)
    _page(html, found.document["validation"], found.document)
    document = {key: found.document[key] for key in ("hash", "days", "loss", "climatology", "validation", "training")}
    emit(document, as_json, lambda: _show(document["validation"], f"forewarner {found.hash[:16]} written to {out}"))


@app.command("evaluate")
def evaluate(
    model: Model,
    name: Annotated[str, typer.Argument(help="Dataset of another time.")],
    study: Study,
    trials: Annotated[int, typer.Option("--trials", min=1, help="At most so many configurations.")] = 32,
    html: Html = None,
    as_json: Json = False,
) -> None:
    """Judge a forewarner on data of another time (exit code 1 if it has no skill there)."""
    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.study.forewarn.model import evaluate as judge
    from dolphin.study.forewarn.model import read_forewarner
    from dolphin.study.forewarn.outcomes import configs_of

    home, found = workspace.find(), read_forewarner(model)
    configs = configs_of(home, study, trials, found.document["seed"])
    with progress_bar() as progress:
        judged = judge(found, open_dataset(home, name), configs, progress=progress)
    _page(html, judged, found.document, name)
    emit(judged, as_json, lambda: _show(judged, f"forewarner {found.hash[:16]} on {name}"))
    if not judged["has_skill"]:
        raise typer.Exit(1)


@app.command("status")
def status(
    model: Model,
    name: Annotated[str, typer.Argument(help="Dataset.")],
    config: ConfigFile,
    sets: Sets = None,
    out: Annotated[
        str | None, typer.Option("--out", help="Keep all forecasts as this table: risk build --forecasts.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="Tell sessions: embedded (of this workspace), or hazelcast://...")
    ] = None,
    as_json: Json = False,
) -> None:
    """The newest forecast of a configuration, every four hours of a dataset; and how far its inputs have drifted."""
    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.study.forewarn.model import forecasts, read_forewarner
    from dolphin.study.forewarn.tables import write_forecasts

    home, found = workspace.find(), read_forewarner(model)
    dataset, settings = open_dataset(home, name), load_config(config, sets)
    with progress_bar() as progress:
        ts, probability, records, shifts = forecasts(found, dataset, settings, progress)
    newest = records[-1]
    document: dict[str, Any] = {
        **newest._asdict(),
        "forecasts": len(records),
        "has_skill": found.document["validation"]["has_skill"],
        "drift": shifts,
        "model": found.hash,
    }
    if out is not None:
        made = f"dolphin forewarn status {model} {name} --config {config} --out {out}"
        document["table"] = write_forecasts(home, out, found, dataset, settings, ts, probability, made).digest

    if store is not None:
        _tell(home, store, newest)

    def show() -> None:
        say(f"{newest.status}: {newest.catastrophic_prob:.1%} to lose more than {found.document['loss']:.0%}")
        if not document["has_skill"]:
            say("this forewarner has shown no skill on windows that it has not seen", style="bold yellow")
        rows = [(name, d["psi"] or 0.0, d["ks"] or 0.0, d["p"] or 0.0, d["level"]) for name, d in shifts.items()]
        table("drift from the training", ("input", "PSI", "KS", "p of KS", "asks for"), rows)

    emit(document, as_json, show)


def _tell(home: Any, url: str, newest: Any) -> None:
    """``mc_forewarner_latest``, for the sessions that read it."""
    from contextlib import closing

    from dolphin.errors import DolphinError
    from dolphin.live.mirrors.records import Records, keep_forecast
    from dolphin.times import format_time

    record = newest._asdict() | {"timestamp": format_time(newest.timestamp)}
    keep_forecast(home, record)
    if not url.startswith("embedded"):  # an embedded store is its session's, which reads what was kept
        with closing(cluster_of(url)) as shared:
            outcome = Records(shared).forecast(record)
            if outcome is None or not shared.settle(10.0):
                raise DolphinError("the store does not take the forecast", where=url, mend="is a member up?")


def _page(html: Path | None, judged: dict[str, Any], document: dict[str, Any], judged_on: str = "") -> None:
    """Write the page of a judgement, if it is asked for."""
    if html is None:
        return
    from dolphin.report.forewarner_page import forewarner_page
    from dolphin.report.markup import write_page
    from dolphin.times import format_time

    training = document["training"]
    span = f"{format_time(training['first_ts'])} to {format_time(training['last_ts'])}"
    about = {
        "forewarner": document["hash"][:16],
        "judged on": judged_on or "later windows of its training's data, walk-forward",
        "a window goes bad": f"a drawdown above {document['loss']:.0%} within {document['days']:g} days",
        "trained on": f"{training['dataset']['name']}, {span}, {training['windows']:,} windows",
        "study": f"{training['study']}, {training['configurations']} configurations of {training['strategy']}",
    }
    write_page(forewarner_page(judged, about), html)


def _show(judged: dict[str, Any], title: str) -> None:
    (low, high), (least, most) = judged["skill_interval"], judged["market_skill_interval"]
    rows = [
        ("windows", judged["windows"]),
        ("examples", judged["examples"]),
        ("went bad", judged["bad_share"]),
        ("Brier score", judged["brier"]),
        ("Brier score of climatology", judged["brier_climatology"]),
        ("skill", judged["skill"]),
        ("skill, 5 % to 95 %", f"{low:.4f} to {high:.4f}"),
        ("of it by the market", judged["market_skill"]),
        ("of it by the market, 5 % to 95 %", f"{least:.4f} to {most:.4f}"),
        ("area under the curve", judged["auc"]),
    ]
    table(title, ("", ""), rows)
    held = judged["reliability"]
    diagram = [
        (f"{r['from']:.1f}", r["count"], r["forecast"], r["observed"], "#" * round(20 * r["observed"])) for r in held
    ]
    table("reliability", ("from", "count", "forecast", "observed", ""), diagram)
    if judged.get("importance"):
        table("importance", ("input", "Brier score when shuffled"), list(judged["importance"].items())[:8])
    if not judged["has_skill"]:
        say("no skill: it does not forecast better than the share of bad windows known before", style="bold yellow")
