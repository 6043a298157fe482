"""``dolphin risk``: risk tables of datasets, and series of recorded books for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli.common import Dataset, Json, emit, progress_bar, say, table

if TYPE_CHECKING:
    from dolphin.catalog.store.tables import Table

app = typer.Typer(help="Risk inputs of a dataset: circuit breaker, survival stack, postures.", no_args_is_help=True)


@app.command("build")
def build(
    name: Dataset,
    out: Annotated[str, typer.Option("--out", help="Name of the risk table.")],
    external: Annotated[str | None, typer.Option("--external", help="Table of external series.")] = None,
    books: Annotated[str | None, typer.Option("--books", help="Recorded books: A, or A,B, or rec_books_*.")] = None,
    forecasts: Annotated[str | None, typer.Option("--forecasts", help="Table of the forewarner's forecasts.")] = None,
    rules: Annotated[Path | None, typer.Option("--rules", help="TOML file of the breaker's rules.")] = None,
    esof: Annotated[str, typer.Option("--esof", help="Esoteric factor, by its name in the registry.")] = "neutral",
    as_json: Json = False,
) -> None:
    """Make the risk table of a dataset: every input as of its publication."""
    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.market.assemble import feature_columns
    from dolphin.market.risk_table import build_risk
    from dolphin.risk.rules import RiskRules, read_rules

    home = workspace.find()
    dataset, chosen = open_dataset(home, name), read_rules(rules) if rules else RiskRules()
    velocity = None
    if chosen.beta_mode == "w750_switch":
        with progress_bar() as progress:
            velocity = feature_columns(dataset, progress)["v750_vel"]
    options = {"external": external, "books": books, "forecasts": forecasts}
    words = [f"--{key} {value}" for key, value in options.items() if value] + ([f"--rules {rules}"] if rules else [])
    words += [f"--esof {esof}"] if esof != "neutral" else []
    made = " ".join(["dolphin risk build", name, *words, "--out", out])
    found = build_risk(dataset, out, rules=chosen, velocity=velocity, esof=esof, made=made, **options)
    _emit(found, as_json, {"unchanged": found.unchanged})


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="Risk table.")], as_json: Json = False) -> None:
    """What a risk table is made from, and what each category comes to."""
    from dolphin import workspace
    from dolphin.catalog.store.tables import open_table
    from dolphin.errors import DolphinError

    found = open_table(workspace.find(), name)
    if found.kind != "risk":
        raise DolphinError(f"'{name}' holds {found.kind}, no risk rows", mend="see 'dolphin data show'")
    _emit(found, as_json, {})


@app.command("books")
def books(
    sources: Annotated[list[Path], typer.Argument(help="Recorded streams (.gz), or folders of them.")],
    name: Annotated[str, typer.Option("--name", help="Name of the table of series.")],
    as_json: Json = False,
) -> None:
    """Book figures a second, from recorded streams: what --books of build reads."""
    from dolphin import workspace
    from dolphin.market.book_series import make_books

    found = make_books(workspace.find(), name, sources)
    document = {
        "name": found.name,
        "digest": found.digest,
        "symbols": list(found.symbols),
        "rows": found.manifest["rows"],
        "notes": found.manifest["notes"],
        "unchanged": found.unchanged,
    }
    emit(document, as_json, lambda: table(None, ("", ""), [(key, str(value)) for key, value in document.items()]))


@app.command("override")
def override(
    posture: Annotated[str | None, typer.Option("--posture", help="APEX, STALKER, TURTLE or HIBERNATE.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Its end: a time (UTC), or 30m, 2h from now.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; goes on record.")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="End the one that is in force.")] = False,
    as_json: Json = False,
) -> None:
    """Put a posture over the stack's for a while (60 minutes), lift it, or show what is on record."""
    import time

    from dolphin import workspace
    from dolphin.errors import BadInput
    from dolphin.feeds.overrides import current, lift_override, read_overrides, set_override

    home, now = workspace.find(), time.time_ns()
    if lift and posture:
        raise BadInput("sets one and lifts one", where="--lift", mend="do one of them")
    if posture:
        set_override(home, posture.upper(), reason or "", now, _length(until, now))
    elif lift:
        lift_override(home, reason or "", now)
    found, lines = current(home, now), read_overrides(home)
    document = {"in_force": found.as_dict() if found else None, "lines": lines}

    def show() -> None:
        if found:
            told = found.as_dict()
            say(f"in force: {told['posture']} until {told['expires']}, by {found.author}: {found.reason}")
        else:
            say("no override is in force")
        rows = [(e["action"], e.get("posture", "-"), e.get("expires", "-"), e["author"], e["reason"]) for e in lines]
        if rows:
            table(None, ("action", "posture", "until", "author", "reason"), rows)

    emit(document, as_json, show)


def _length(until: str | None, now_ns: int) -> int:
    """How long an override lasts, in ns."""
    from dolphin.errors import DolphinError
    from dolphin.risk.override import DEFAULT_NS
    from dolphin.times import parse_duration, parse_time

    if until is None:
        return DEFAULT_NS
    try:
        return parse_duration(until)
    except DolphinError:
        return parse_time(until) - now_ns


def _emit(found: Table, as_json: bool, more: dict[str, Any]) -> None:
    manifest = found.manifest
    keys = ("dataset", "tables", "rules", "rules_hash", "categories", "summary", "notes", "made")
    document = {"name": found.name, "digest": found.digest, **{key: manifest[key] for key in keys}, **more}

    def show() -> None:
        of, summary = manifest["dataset"], manifest["summary"]
        say(
            f"risk table {found.name} {found.digest[:16]} of {of['name']} {of['digest'][:16]}, {summary['bars']:,} bars"
        )
        table(None, ("category", "made from"), list(manifest["categories"].items()))
        factors = [(key, 100.0 * v["below_full"], v["mean"]) for key, v in summary["factors"].items()]
        table(None, ("factor", "% of bars below full", "mean"), factors)
        shares = [(key, 100.0 * share) for key, share in summary["postures"].items()]
        table(None, ("posture", "% of bars"), shares)
        table(None, ("circuit breaker", ""), list(summary["breaker"].items()))

    emit(document, as_json, show)
