"""The part of a study page that shows its validation: folds, train beside test, equity out of sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dolphin.report.markup import Cell, card, signed, table, text
from dolphin.report.numerals import MISSING, number, percent, significant
from dolphin.report.timeline import paths_figure, stitched_figure, timeline_figure

Chart = Callable[..., str]

_SCHEMES = {"holdout": "Holdout", "walk_forward": "Walk-forward", "kfold": "K-fold", "combinatorial": "Combinatorial"}


def validation_cards(data: Mapping[str, Any], chart: Chart) -> Iterator[str]:
    """The cards, none without a validation; ``chart`` draws a figure by name."""
    found = data["validation"]
    if not found:
        return
    scheme = _SCHEMES.get(found["scheme"]["scheme"], str(found["scheme"]["scheme"]))
    folds = found["folds"]
    body = chart("timeline", timeline_figure(folds), height=80 + 24 * len(folds))
    yield card(f"{scheme}: what chose and what judged", body, note=_scheme_note(found))
    if data["oos"]:
        yield _equity_card(data, chart)
    yield card(
        "Folds", _folds(found), note="Chosen on the train days alone, then traded on the test days.", kind="long"
    )
    note = "Does the choice stay the same from fold to fold?"
    if found["folds"][-1]["chosen"] and not found["folds"][-1]["blocks"]:
        note += " best.toml is what the newest train days chose."
    yield card("What was chosen", _choices(found), note=note, kind="long")


def outcome(data: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return and Sharpe ratio out of sample: of the one path, or the medians over the paths."""
    found = data["validation"]
    if not found or not found["paths"]:
        return None, None
    if found["stitched"]:
        return _real(found["stitched"].get("roi")), _real(found["stitched"].get("sharpe_365"))
    spread = found["distribution"] or {}
    return tuple(_real(spread.get(name, {}).get("q50")) for name in ("roi", "sharpe_365"))  # type: ignore[return-value]


def _real(value: Any) -> float | None:
    return None if value is None else float(value)


def _scheme_note(found: Mapping[str, Any]) -> str:
    said = ", ".join(f"{k} {v}" for k, v in found["scheme"].items() if k != "scheme" and v not in (None, False))
    gaps = f"purge {found['purge_bars']:,} bars, embargo {found['embargo_bars']:,} bars"
    return f"{len(found['folds'])} folds ({said}); {gaps}."


def _equity_card(data: Mapping[str, Any], chart: Chart) -> str:
    found = data["validation"]
    paths = found["paths"]
    roi, sharpe = outcome(data)
    efficiency = found["efficiency"]["efficiency"]
    which = "One path of" if len(paths) == 1 else f"{len(paths)} paths, each of"
    note = f"{which} stretches that no choice had seen, one after the other; equity compounds."
    words = [
        f"Out of sample: return {percent(roi, signed=True)}, Sharpe ratio {number(sharpe)}"
        + ("" if len(paths) == 1 else " in the median over the paths")
    ]
    if efficiency is not None:
        words.append(f"walk-forward efficiency {percent(efficiency, 0)} (daily return after the choice over before it)")
    verdict = f'<p class="verdict">{text("; ".join(words))}.</p>'
    curves, capital = data["oos"]["paths"], data["oos"]["capital"]
    one = curves[0]
    figure = (
        stitched_figure(one["ts"], one["equity"], one["fold"], capital)
        if len(curves) == 1
        else paths_figure(curves, capital)
    )
    return card("Equity out of sample", verdict + chart("oos", figure, "tall"), note=note)


def _folds(found: Mapping[str, Any]) -> str:
    objective = found["objective"]
    heads = [
        "Fold", "Test from", "to", f"{objective} train", "test", "worse by", "Return train", "test", "Drawdown test",
        "Trades test", "Trial",
    ]  # fmt: skip
    rows = []
    for fold in found["folds"]:
        begin, end = fold["test"][0]["from"][:10], fold["test"][-1]["to"][:10]
        cells = [Cell(str(fold["number"]), order=fold["number"]), Cell(begin), Cell(end)]
        if fold["chosen"] is None:
            rows.append([*cells, Cell("none chosen, flat"), *(Cell(MISSING, order=-1e300) for _ in range(7))])
            continue
        before, after, goal = fold["train_metrics"], fold["test_metrics"], fold["objective"]
        train, test, worse = (_real(goal[name]) for name in ("train", "test", "degradation"))
        rows.append(
            [
                *cells,
                Cell(number(train), order=train),
                signed(number(test), test),
                Cell(number(worse), order=worse),
                Cell(percent(_real(before["roi"]), 1, signed=True), order=_real(before["roi"])),
                signed(percent(_real(after["roi"]), 1, signed=True), _real(after["roi"])),
                Cell(percent(_real(after["max_drawdown"]), 1), order=_real(after["max_drawdown"])),
                Cell(number(_real(after["trades"]), 0), order=_real(after["trades"])),
                Cell(f"{fold['chosen']['trial']:,}", order=fold["chosen"]["trial"]),
            ]
        )
    return table(heads, rows, sortable=True, names=3)


def _choices(found: Mapping[str, Any]) -> str:
    folds = [fold for fold in found["folds"] if fold["chosen"]]
    heads = ["Parameter", "Different", *(f"Fold {fold['number']}" for fold in folds[:16])]
    rows = []
    for name, entry in found["stability"].items():
        values = [_shown(fold["chosen"]["parameters"].get(name)) for fold in folds[:16]]
        different = f"{entry['different']} of {len(entry['values'])}"
        rows.append([Cell(name), Cell(different, order=entry["different"]), *(Cell(value) for value in values)])
    return table(heads, rows)


def _shown(value: Any) -> str:
    if value is None:
        return MISSING
    return significant(value, 4) if isinstance(value, float) else str(value)
