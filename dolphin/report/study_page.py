"""A study as a page: what was tried, what came of it, and how much of that to believe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dolphin.report import study_figures as figures
from dolphin.report.markup import Cell, big, card, chart_page, embedded_json, facts, flatten, table, text, write_page
from dolphin.report.numerals import MISSING, SHARES, instant, number, percent, plain, significant
from dolphin.report.palette import heat
from dolphin.report.validation_cards import outcome, validation_cards

_VERDICTS = {"plateau": "good", "ridge": "plain", "lonely peak": "bad", "unknown": "plain"}


def study_page(data: Mapping[str, Any]) -> str:
    """Return a study as one self-contained HTML document.

    Parameters
    ----------
    data : mapping
        What :func:`dolphin.study.findings.study_summary.gather` returns.

    Returns
    -------
    str
        The page, scripts and styles inside; it makes no request.
    """
    mark = "SYNTHETIC " if data["dataset"]["synthetic"] else ""
    title = f"{mark}study {data['name']} on {data['dataset']['name']}"
    return chart_page(title, "\n".join(_sections(data)))


def write_study_page(data: Mapping[str, Any], out: Path) -> None:
    """Write :func:`study_page` to ``out``, atomically."""
    write_page(study_page(data), out)


def _sections(data: Mapping[str, Any]) -> Iterator[str]:
    yield _header(data)
    yield _verdict(data)
    yield from _notices(data)
    yield _key_figures(data)
    if not data["top"]:
        yield card("Trials", '<p class="empty">No trial counts: ruined, too few trades, or no finite value.</p>')
        yield card("Provenance", _provenance(data))
        return
    objective, maximize = data["objectives"][0], data["directions"][0] == "maximize"
    yield card("Search", chart("history", figures.history_figure(data["history"], objective)), kind="wide")
    spread = chart("spread", figures.spread_figure(data["spread"], objective))
    yield card("All trials", spread, kind="slim", note=_spread_note(data))
    if data["front"]:
        yield _front_card(data)
    yield from validation_cards(data, chart)
    yield _sensitivity_card(data)
    if data["importance"]:
        yield _importance_card(data)
    if data["maps"]:
        yield _maps_card(data, objective, maximize)
    parallel = data["parallel"]
    note = (
        f"{parallel['shown']:,} of {parallel['of']:,} trials, the highest strongest; the {_marked(data)} in gold. "
        "The last axis is the objective."
    )
    lines = f'<div class="scroll flat"><div class="broad">{chart("parallel", _parallel(data), "tall")}</div></div>'
    yield card("Parameters of the trials", lines, note=note)
    if data["stability"]:
        yield _stability_card(data["stability"])
    trial = _chosen(data)[0]
    note = f"By the raw figure over the whole window; best.toml holds trial {trial:,}. A click on a heading sorts."
    yield card("Highest trials", _top(data), note=note, kind="long")
    yield card("Provenance", _provenance(data), kind="half")
    yield card("How to go on", _commands(data), kind="half")


def chart(name: str, figure: dict[str, Any], size: str = "", height: int | None = None) -> str:
    """A chart and its data; ``height`` in pixels, or by the class ``size``."""
    style = f' style="height:{height}px"' if height else ""
    box = f'<div class="chart {size}"{style} data-figure="figure-{name}"></div>'
    return box + embedded_json(f"figure-{name}", figure)


def _parallel(data: Mapping[str, Any]) -> dict[str, Any]:
    maximize = data["directions"][0] == "maximize"
    return figures.parallel_figure(data["parallel"], data["objectives"][0], maximize=maximize)


def _header(data: Mapping[str, Any]) -> str:
    dataset, window = data["dataset"], data["window"]
    badges = '<span class="badge synthetic">SYNTHETIC DATA</span>' if dataset["synthetic"] else ""
    if data["plateau"] and data["top"]:
        verdict = data["plateau"]["verdict"]
        badges += f'<span class="badge {_VERDICTS[verdict]}">{text(verdict.upper())}</span>' * (verdict != "unknown")
    symbols = f"{dataset['symbols']:,} symbols · " if dataset["symbols"] else ""
    goals = ", ".join(f"{d} <b>{text(o)}</b>" for o, d in zip(data["objectives"], data["directions"], strict=True))
    kind = "generated" if dataset["synthetic"] else "real"
    return (
        f'<header><div class="title"><h1>Study {text(data["name"])}</h1>{badges}</div>'
        f'<p class="sub">{goals} · {text(data["sampler"] or "")} · dataset <b>{text(dataset["name"])}</b> ({kind}) · '
        f'{symbols}<b class="when">{instant(window["first_ts"])}</b> to '
        f'<b class="when">{instant(window["last_ts"])}</b> UTC</p></header>'
    )


def _verdict(data: Mapping[str, Any]) -> str:
    """The first thing to read: does what was chosen hold up where nobody had looked."""
    if not data["top"]:
        return big("bad", "Nothing to choose from.", "No trial counts.")
    roi, sharpe = outcome(data)
    plateau = data["plateau"]
    shape = "" if plateau["verdict"] == "unknown" else plateau["sentence"]
    if roi is None:
        return big("plain", "Not judged: every figure of this study is in sample.", shape)
    told = f"out of sample it returns {percent(roi, signed=True)}, Sharpe ratio {number(sharpe)}"
    if roi <= 0.0:
        return big("bad", f"Not confirmed: {told}.", shape)
    if plateau["verdict"] == "lonely peak":
        return big("plain", f"In doubt: {told}, but the trials around it do not do as well.", shape)
    return big("good", f"Held up: {told}.", shape)


def _chosen(data: Mapping[str, Any]) -> tuple[int, float | None, str]:
    """What ``best.toml`` holds: its trial, the objective where it was chosen, and where that was."""
    if _by_newest_window(data):
        fold = data["validation"]["folds"][-1]
        return fold["chosen"]["trial"], fold["objective"]["train"], "on the newest train days"
    top = data["top"][0]
    return top["trial"], top["metrics"][data["objectives"][0]], "in sample"


def _marked(data: Mapping[str, Any]) -> str:
    """What is looked at closely: the best trial, or the raw maximum where the best is no trial of this search."""
    return "raw maximum" if data["best"] is None else "best trial"


def _marked_row(data: Mapping[str, Any]) -> Mapping[str, Any]:
    row: Mapping[str, Any] = data["top"][0] if data["best"] is None else data["best"]
    return row


def _notices(data: Mapping[str, Any]) -> Iterator[str]:
    dataset, states = data["dataset"], data["states"]
    if dataset["synthetic"]:
        yield notice("synthetic", "This market was generated. It says nothing about a real market.")
    if data["plateau"] and data["plateau"]["verdict"] == "lonely peak":
        yield notice("bad", f"The neighbours of the {_marked(data)} do not confirm it: take it for luck.")
    stopped = states.get("interrupted", 0) + states.get("failed", 0)
    if stopped:
        yield notice("caveat", f"{stopped:,} trials were interrupted or failed; they count as looked at.")
    done = states.get("done", 0)
    yield notice(
        "caveat",
        f"What leads {done:,} trials is lucky as well as good. {data['looked_at']:,} different "
        "configurations have been looked at on this dataset so far; what Sharpe ratio that many without any skill "
        "would be expected to reach is for the gate to say (dolphin gate).",
    )
    for line in dataset["notes"]:
        yield notice("caveat", str(line))


def notice(kind: str, words: str) -> str:
    """A line that stands out."""
    return f'<p class="notice {kind}">{text(words)}</p>'


def _key_figures(data: Mapping[str, Any]) -> str:
    states, best = data["states"], _marked_row(data) if data["top"] else None
    total = sum(states.values())
    others = (
        ", ".join(f"{count:,} {name}" for name, count in states.items() if name != "done") or "all of them finished"
    )
    cells = [
        ("Trials", number(total, 0), others),
        ("Looked at on the data", number(data["looked_at"], 0), "different configurations"),
    ]
    if best:
        objective = data["objectives"][0]
        metrics = best["metrics"]
        spread = data["spread"]
        plateau = data["plateau"]
        cells += [
            _chosen_cell(data, objective),
            *_maximum_cell(data, objective, data["top"][0]),
            (f"Median {objective}", value(objective, spread["median"]), f"{percent(spread['positive'], 0)} above zero"),
            (
                f"Return of the {_marked(data)}",
                value("roi", metrics["roi"]),
                f"whole window, {metrics['trades']:,} trades",
            ),
            (f"Drawdown of the {_marked(data)}", value("max_drawdown", metrics["max_drawdown"]), "whole window"),
        ]
        if plateau["verdict"] != "unknown":
            cells.append(("Neighbours that hold up", percent(plateau["holding"], 0), plateau["verdict"]))
        cells += _after(data)
    items = "".join(f"<div><dt>{text(a)}</dt><dd>{text(b)}<small>{text(c)}</small></dd></div>" for a, b, c in cells)
    return f'<dl class="figures" style="--columns:{_columns(len(cells))}">{items}</dl>'


def _chosen_cell(data: Mapping[str, Any], objective: str) -> tuple[str, str, str]:
    trial, figure, where = _chosen(data)
    shown_value = MISSING if figure is None else value(objective, figure)
    return f"Best {objective}", shown_value, f"trial {trial:,}, which best.toml holds, {where}"


def _maximum_cell(data: Mapping[str, Any], objective: str, top: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The highest of all trials, where something else was chosen."""
    if _chosen(data)[0] == top["trial"]:
        return []
    return [
        (f"Raw maximum {objective}", value(objective, top["metrics"][objective]), f"trial {top['trial']:,}, not chosen")
    ]


def _columns(cells: int) -> int:
    """How many cells stand side by side, so that few places stay empty."""
    return min((5, 4, 6, 3), key=lambda n: -cells % n)


def _after(data: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Key figures of validation and stability."""
    cells = []
    roi, sharpe = outcome(data)
    if roi is not None:
        cells.append(("Return out of sample", percent(roi, signed=True), f"Sharpe ratio {number(sharpe)}"))
    checks = (data["sweep"] or {}).get("spot_checks")
    if checks:
        cells.append(("Run again alone", f"{len(checks)} trials", "equal bit for bit"))
    if data["stability"]:
        below = data["stability"]["below_median"]
        cells.append(("Highest of half the days", percent(below, 0), "of the ways below the median after"))
    return cells


def value(name: str, amount: Any) -> str:
    """A metric as people read it."""
    if isinstance(amount, str):
        amount = float(amount)
    if name in SHARES:
        return percent(amount)
    if isinstance(amount, int):
        return f"{amount:,}"
    return number(amount, 2)


def _spread_note(data: Mapping[str, Any]) -> str:
    known, done = data["spread"]["trials"], data["states"].get("done", 0)
    least = data["min_trades"]
    why = f"do not count: again the same, ruined, fewer than {least} trades, or no finite value"
    left = f"; {done - known:,} others {why}" if done > known else ""
    return f"{known:,} different trials{left}."


def _front_card(data: Mapping[str, Any]) -> str:
    front = data["front"]
    rows = [_trial_cells(row, data) for row in front["front"][:20]]
    heads = _heads(data)
    body = chart("front", figures.front_figure(front)) + table(heads, rows, sortable=True, kind="heads")
    note = f"{front['size']:,} trials that none beats in every objective." + (
        f" {min(20, front['size'])} of them below." if front["size"] > 20 else ""
    )
    return card("Pareto front", body, note=note, kind="long")


def _sensitivity_card(data: Mapping[str, Any]) -> str:
    plateau, best = data["plateau"], _marked_row(data)["parameters"]
    rows = [[Cell(name), Cell(shown(best[name])), Cell(_range(span))] for name, span in plateau["spans"].items()]
    body = f'<p class="verdict">{text(plateau["sentence"])}</p>' + table(
        ["Parameter", _marked(data).capitalize(), "Its neighbours cover"], rows, kind="whole"
    )
    note = "Does what is good stay good a little further on?"
    return card("Plateau or peak", body, note=note, kind="half" if data["importance"] else "")


def _range(span: Any) -> str:
    low, high = span
    return str(low) if low == high else f"{shown(low)} to {shown(high)}"


def shown(amount: Any) -> str:
    """A parameter's value."""
    return significant(amount, 5) if isinstance(amount, float) else plain(amount)


def _importance_card(data: Mapping[str, Any]) -> str:
    importance = data["importance"]
    height = 90 + 42 * len(importance["ped_anova"])
    keys = (
        '<div class="keys"><span class="key"><i class="mark" style="color:#2f86c8">■</i>'
        'among the best tenth (PED-ANOVA)</span><span class="key"><i class="mark" style="color:#8a94a3">■</i>'
        "over the whole space (fANOVA)</span></div>"
    )
    body = keys + chart("importance", figures.importance_figure(importance), height=height)
    first = [max(half, key=half.__getitem__) for half in importance["halves"]]
    said = (
        f"Both halves of the trials name {first[0]} first."
        if first[0] == first[1]
        else f"One half of the trials names {first[0]} first, the other {first[1]}: the order is not certain."
    )
    left = importance["left_out"]
    said += f" Not ranked: {', '.join(left)} (fixed, or not in every trial)." if left else ""
    return card("Importance of the parameters", body, note=f"{said} Whiskers: the two halves.", kind="half")


def _maps_card(data: Mapping[str, Any], objective: str, maximize: bool) -> str:
    limits = figures.map_limits(data["maps"])
    tiles = "".join(
        f'<div class="tile">{chart(f"map-{k}", figures.map_figure(pair, objective, limits, maximize=maximize))}</div>'
        for k, pair in enumerate(data["maps"])
    )
    note = (
        f"Median {objective} of the trials in each cell, pairs of the most important parameters; blue is better. "
        f"The cell of the {_marked(data)} is framed in gold; empty cells: too few trades; hover for counts."
    )
    return card("Maps", f'<div class="tiles">{tiles}</div>', note=note)


def _stability_card(found: Mapping[str, Any]) -> str:
    names = ("first third", "second third", "last third")
    rows = []
    for name, line in zip(names, found["correlation"], strict=True):
        cells = [Cell(number(v, 2) if v is not None else MISSING, style=heat(v, 1.0)) for v in line]
        rows.append([Cell(name), *cells])
    below = found["below_median"]
    verdict = (
        "choosing by the past does not help on these days"
        if below >= 0.5
        else "choosing by the past has helped on these days"
    )
    said = (
        f"The days were halved in {found['ways']} ways. The trial with the highest Sharpe ratio on one half is below "
        f"the median of all {found['trials']:,} on the other in {percent(below, 0)} of them ({verdict}); it beats "
        f"{percent(found['rank_after'], 0)} of them on average."
    )
    left = chart("ranks", figures.rank_figure(found))
    right = "<h3>Rank correlation of the Sharpe ratios between thirds of the window</h3>" + table(
        ["", *names], rows, kind="whole"
    )
    tiles = f'<div class="tiles"><div class="tile">{left}</div><div class="tile">{right}</div></div>'
    body = f'<p class="verdict">{text(said)}</p>{tiles}'
    return card("Stability over time", body)


def _heads(data: Mapping[str, Any]) -> list[str]:
    metrics = list(data["top"][0]["metrics"]) if data["top"] else []
    return ["Trial", *(name.replace("_", " ") for name in metrics), *data["parameters"]]


def _trial_cells(row: Mapping[str, Any], data: Mapping[str, Any]) -> list[Cell]:
    cells = [Cell(f"{row['trial']:,}", order=row["trial"])]
    for name, amount in row["metrics"].items():
        order = float(amount) if amount is not None else None
        cells.append(Cell(value(name, amount), order=order if order is not None and abs(order) < 1e300 else 1e300))
    for name in data["parameters"]:
        amount = row["parameters"][name]
        cells.append(Cell(shown(amount), order=amount if isinstance(amount, int | float) else str(amount)))
    return cells


def _top(data: Mapping[str, Any]) -> str:
    return table(_heads(data), [_trial_cells(row, data) for row in data["top"]], sortable=True)


def _provenance(data: Mapping[str, Any]) -> str:
    dataset = data["dataset"]
    said: dict[str, Any] = {
        "dataset": dataset["name"],
        "dataset_digest": dataset["digest"],
        "market": {True: "generated", False: "real", None: "unknown (this version is not here)"}[dataset["synthetic"]],
        "sampler": data["sampler"],
        "seed": str(data["seed"]),
        "min_trades": data["min_trades"],
        "study_file": data["file"],
        "config_of_newest_train_window" if _by_newest_window(data) else "best_config": data["best_config"],
    }
    if data["top"]:
        said[f"{_marked(data).replace(' ', '_')}_config_hash"] = _marked_row(data)["config_hash"]
    sweep = data["sweep"] or {}
    kept = {
        k: v for k, v in sweep.items() if k in ("hash", "engine_digest", "dataset_digest", "spot_checks", "seconds")
    }
    return facts(flatten(said | kept))


def _by_newest_window(data: Mapping[str, Any]) -> bool:
    """Whether ``best.toml`` is what a validation chose on its newest train window, not the best of all."""
    validation = data["validation"]
    return bool(validation and not validation["folds"][-1]["blocks"] and validation["folds"][-1]["chosen"])


def _commands(data: Mapping[str, Any]) -> str:
    name = data["file"] or f"experiments/{data['name']}.toml"
    best = data["best_config"] or f"experiments/{data['name']}/best.toml"
    dataset = data["dataset"]["name"]
    what = "what the newest train window chose," if _by_newest_window(data) else "the best one"
    lines = [
        ("all trials, filtered and sorted", f"dolphin trials {data['name']} --sort {data['objectives'][0]}"),
        ("go on after an interrupt", f"dolphin sweep {name} --resume"),
        (f"{what} as a run with a tear sheet", f"dolphin backtest {dataset} --config {best} --out runs/best"),
        (
            "under friction, noise, missed trades",
            f"dolphin stress {dataset} --config {best} --html stress.html",
        ),
        ("up the parity ladder", f"dolphin ladder {dataset} --config {best}"),
        ("do the registered trials repeat?", "dolphin trials verify"),
    ]
    items = "".join(f"<div><dt>{text(a)}</dt><dd><code>{text(b)}</code></dd></div>" for a, b in lines)
    return f'<dl class="commands">{items}</dl>'
