"""A traced decision as a document: names instead of numbers, loops by their counts, the condition that settled it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from dolphin.parity.sides import Scene
from dolphin.parity.why.tracing import Assigned, Comparison, Condition, Frame, Wish

#: Evaluations of one place in one call, and calls of one function, that are told one by one.
TWICE, CALLS = 2, 3
_FEATURE = re.compile(r"market\.features\[i, (\d+)\]")


class Folded(Condition):
    """Many evaluations of one place, told by the last of each outcome; ``counts`` says how many there were."""

    counts: Counter[bool]


def folded(frame: Frame) -> Frame:
    """The same call with repeated evaluations counted, and of many calls only those that led to a wish."""
    sites = Counter(id(event.site) for event in frame.events if isinstance(event, Condition | Assigned))
    calls = Counter(event.function for event in frame.events if isinstance(event, Frame))
    told: list[Any] = []
    counted: dict[int, Folded] = {}
    left: dict[str, Frame] = {}
    for event in frame.events:
        if isinstance(event, Frame):
            if calls[event.function] <= CALLS or wished(event):
                told.append(folded(event))
            elif event.function not in left:
                left[event.function] = Frame(event.function, event.file, event.line, {}, [], None)
                told.append(_many(frame, event.function))
        elif isinstance(event, Condition) and sites[id(event.site)] > TWICE:
            if id(event.site) not in counted:
                counted[id(event.site)] = one = Folded(event.site)
                one.counts = Counter()
                told.append(one)
            one = counted[id(event.site)]
            one.counts[event.outcome] += 1
            if one.counts[event.outcome] == 1 or not event.outcome:
                one.parts, one.outcome = event.parts, event.outcome
        elif isinstance(event, Assigned) and sites[id(event.site)] > TWICE:
            continue
        else:
            told.append(event)
    return Frame(frame.function, frame.file, frame.line, frame.arguments, told, frame.returned)


def _many(frame: Frame, function: str) -> Frame:
    """Calls of a function that led to no wish, as one: how many ended at which condition."""
    quiet = [e for e in frame.events if isinstance(e, Frame) and e.function == function and not wished(e)]
    ends: Counter[tuple[str, bool]] = Counter()
    for call in quiet:
        last = next((e for e in reversed(list(conditions(call)))), None)
        ends[(last.site.text, last.outcome) if last else ("", True)] += 1
    first = quiet[0]
    return Frame(function, first.file, first.line, {"calls": len(quiet), "ends": ends}, [], None)


def wished(frame: Frame) -> bool:
    """Whether something was asked for in this call or below it."""
    return any(isinstance(e, Wish) or (isinstance(e, Frame) and wished(e)) for e in frame.events)


def conditions(frame: Frame) -> Iterator[Condition]:
    """All conditions of a call, those of calls below it included, in their order."""
    for event in frame.events:
        if isinstance(event, Condition):
            yield event
        elif isinstance(event, Frame):
            yield from conditions(event)


def document_of(frame: Frame, scene: Scene) -> dict[str, Any]:
    """A call and all below it in plain JSON types."""
    arguments = dict(frame.arguments)
    ends = arguments.pop("ends", None)
    if ends is not None:
        told = [{"text": text, "outcome": outcome, "calls": n} for (text, outcome), n in ends.most_common()]
        return {"kind": "calls", "function": frame.function, "calls": arguments["calls"], "ended_at": told}
    symbols = _symbols(frame.arguments, scene)
    return {
        "kind": "call",
        "function": frame.function,
        "file": frame.file.rsplit("/", 1)[-1],
        "line": frame.line,
        "arguments": arguments,
        **({"asset": symbols} if symbols else {}),
        "returned": frame.returned,
        "steps": [_step(event, scene) for event in frame.events],
    }


def _symbols(arguments: dict[str, Any], scene: Scene) -> str:
    """The asset that a call is about, where its arguments say so."""
    names = ("asset", "j", *(("s",) if scene.config.engine.strategy.slots == "assets" else ()))
    number = next((arguments[name] for name in names if isinstance(arguments.get(name), int)), None)
    return scene.symbols[number] if number is not None and 0 <= number < len(scene.symbols) else ""


def _step(event: Any, scene: Scene) -> dict[str, Any]:
    if isinstance(event, Frame):
        return document_of(event, scene)
    if isinstance(event, Wish):
        return {"kind": "wish", "asked_by": event.name}
    if isinstance(event, Assigned):
        about = {"kind": "value", "line": event.site.line, "name": event.name, "value": event.value}
        symbols = _symbols({event.name: event.value}, scene) if event.name == "asset" else ""
        return about | {"text": event.site.text} | ({"asset": symbols} if symbols else {})
    told: dict[str, Any] = {
        "kind": "condition",
        "line": event.site.line,
        "text": event.site.text,
        "outcome": event.outcome,
        "parts": [_part(part, scene) for part in event.parts],
    }
    if isinstance(event, Folded):
        told["times"] = {"true": event.counts[True], "false": event.counts[False]}
    return told


def _part(part: Comparison, scene: Scene) -> dict[str, Any]:
    """A comparison; choices and features by their names, a number that is compared with itself as what it asks."""
    told: dict[str, Any] = {
        "left": _named(part.left, scene), "value": part.value, "op": part.op, "right": _named(part.right, scene),
        "limit": part.limit, "outcome": part.outcome,
    }  # fmt: skip
    if part.left == part.right and part.op in ("==", "!="):
        told["asks"] = f"{told['left']} is {'a number' if part.op == '==' else 'not a number'}"
    for here, there, value in ((part.left, "limit", part.limit), (part.left, "value", part.value)):
        word = _choice(here, value, scene)
        if word is not None:
            told[f"{there}_means"] = word
    return told


def _named(text: str, scene: Scene) -> str:
    columns = scene.config.strategy.columns

    def name(match: re.Match[str]) -> str:
        k = int(match[1])
        return f"market.features[i, {columns[k]!r}]" if k < len(columns) else match[0]

    return _FEATURE.sub(name, text)


def _choice(text: str, value: Any, scene: Scene) -> str | None:
    """What a parameter's position among its choices means."""
    field = scene.config.strategy.params.model_fields.get(text.removeprefix("params."))  # type: ignore[attr-defined]
    if not text.startswith("params.") or field is None or get_origin(field.annotation) is not Literal:
        return None
    choices = get_args(field.annotation)
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(choices)
    return str(choices[value]) if known else None


def decisive(tree: dict[str, Any]) -> str:
    """What settled a decision that wants nothing: the last comparison of measured numbers, else the last condition."""
    last, measured = "", ""
    for step in _all_conditions(tree):
        last = condition_text(step)
        for part in step["parts"]:
            if isinstance(part["value"], float) and part["op"] != "is true" and "asks" not in part:
                answer = "yes" if part["outcome"] else "no"
                measured = f"{part['left']} {part['op']} {part['right']} ({values_text(part)}): {answer}"
    return measured or last


def _all_conditions(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for step in tree.get("steps", ()):
        if step["kind"] == "condition":
            yield step
        elif step["kind"] == "call":
            yield from _all_conditions(step)


def condition_text(step: dict[str, Any]) -> str:
    """A condition in a line: what is asked, the values of the comparison that settled it, yes or no."""
    answer = "yes" if step["outcome"] else "no"
    part = step["parts"][-1] if step["parts"] else None
    return f"{step['text']} ({values_text(part)}): {answer}" if part else f"{step['text']}: {answer}"


def values_text(part: dict[str, Any]) -> str:
    """The values of one comparison."""
    left, right = (_shown(part[key], part.get(f"{key}_means")) for key in ("value", "limit"))
    if part["op"] == "is true":
        return left
    return f"{left} {part['op']} {right}"


def _shown(value: Any, meaning: str | None) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)
    return f"{text} '{meaning}'" if meaning else text
