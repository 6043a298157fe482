"""``dolphin why``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from dolphin.cli import completion
from dolphin.cli.common import Json, emit, note, run_named, say


def why(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.", autocompletion=completion.runs)],
    bar: Annotated[str, typer.Option("--bar", help="Row of the dataset (entry_bar of a trade), or a UTC time.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Every evaluation of loops and of calls for assets.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Why it did what it did at one bar: each condition with its value, its limit and its outcome."""
    from dolphin.parity.why import why as ask

    found = ask(run_named(run), bar, everything=everything)
    emit(found, as_json, lambda: _show(found))
    if not found["reproduced"]:
        note("the digest of this bar is not the recorded one: engine, strategy or data have changed since")
    if not found["agrees"]:
        note("interpreted, the strategy wants something else here than compiled: please run 'dolphin ladder --rungs R'")


def _show(found: dict[str, Any]) -> None:
    say(found["sentence"], style="bold")
    before = found["before"]
    say(f"before it: capital {before['capital']:,.2f}, equity {before['equity']:,.2f}")
    for slot in before["positions"]:
        way = "long" if slot["side"] > 0 else "short"
        held = f"{way} {slot['qty']:g} {slot['asset']} at {slot['entry_price']:g}"
        say(f"  slot {slot['slot']}: {held} since bar {slot['entry_bar']:,}")
    for order in before["working"]:
        say(f"  slot {order['slot']}: {order['action']} {order['qty']:g} {order['asset']} works")
    for line in _lines(found["decision"], 0):
        say(line)
    for one in found["refused"]:
        say(f"refused: slot {one['slot']}, {one['reason']}")
    for fill in found["fills"]:
        say(f"filled: {fill}")


def _lines(call: dict[str, Any], depth: int) -> Iterator[str]:
    """A call and all below it, two columns in for each call."""
    from dolphin.parity.why.telling import condition_text, values_text

    pad = "  " * depth
    if call["kind"] == "calls":
        yield f"{pad}{call['function']}: {call['calls']:,} more calls that asked for nothing"
        for end in call["ended_at"]:
            yield f"{pad}  {end['calls']:,} ended at {end['text']}: {'yes' if end['outcome'] else 'no'}"
        return
    about = f" {call['asset']}" if call.get("asset") else ""
    returned = "" if call["returned"] is None else f" -> {call['returned']}"
    yield f"{pad}{call['function']}{about}{returned}   ({call['file']}:{call['line']})"
    for step in call["steps"]:
        match step["kind"]:
            case "call" | "calls":
                yield from _lines(step, depth + 1)
            case "wish":
                yield f"{pad}  >> {step['asked_by']}"
            case "value":
                value = step["value"]
                if value is not None:
                    shown = step.get("asset") or (f"{value:.6g}" if isinstance(value, float) else value)
                    yield f"{pad}  {step['line']:>4}  {step['name']} = {shown}"
            case _ if "times" in step:
                times = step["times"]
                yield f"{pad}  {step['line']:>4}  {step['text']}: {times['true']:,} yes, {times['false']:,} no"
            case _ if len(step["parts"]) <= 1:
                yield f"{pad}  {step['line']:>4}  {condition_text(step)}"
            case _:
                yield f"{pad}  {step['line']:>4}  {step['text']}: {'yes' if step['outcome'] else 'no'}"
                for part in step["parts"]:
                    asked = part.get("asks") or f"{part['left']} {part['op']} {part['right']}".strip()
                    yield f"{pad}          {asked} ({values_text(part)}): {'yes' if part['outcome'] else 'no'}"
