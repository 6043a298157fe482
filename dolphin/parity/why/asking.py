"""``dolphin why``: at one bar of a run, each condition of the decision with its value, its limit and its outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dolphin.catalog import parse_time
from dolphin.core.records import NONE, State
from dolphin.core.refusals import REFUSALS
from dolphin.errors import DolphinError
from dolphin.files import json_value
from dolphin.parity.fields import ACTIONS
from dolphin.parity.sides import About, RunSide, Scene, order_text, run_side
from dolphin.parity.slow.engine import WISH
from dolphin.parity.why.at_bar import Decided, decide_again
from dolphin.parity.why.telling import decisive, document_of, folded
from dolphin.study.measure.run import Run
from dolphin.times import format_time
from dolphin.workspace import Workspace, find


def why(
    run: Run | RunSide | Path | str, bar: int | str, *, workspace: Workspace | None = None, everything: bool = False
) -> dict[str, Any]:
    """Each condition of the decision at one bar of a run.

    The compiled engine runs up to the bar; the bar itself is decided again by the strategy's own source, interpreted,
    in the slow engine, and both must want the same.

    Parameters
    ----------
    run : Run, RunSide or path
        A run of now, one that is opened already (for many questions), or a run folder.
    bar : int or str
        Row number in the dataset, as ``entry_bar`` of a trade; or a UTC time: the last bar that closed by then.
    everything : bool
        Every evaluation; else loops and calls for many assets are told by their counts.

    Returns
    -------
    dict
        Plain JSON types: ``bar``, ``time``, ``sentence``, ``before`` (account, positions, working orders), ``decision``
        (the tree of calls with their conditions), ``wishes``, ``refused``, ``fills``; ``reproduced`` (the digest of
        this bar is the recorded one) and ``agrees`` (interpreted and compiled decision want the same).

    Raises
    ------
    DolphinError
        No such bar, a folder or dataset that cannot be read, or a source that does not run as plain Python.
    """
    side = _side(run, workspace)
    k = _bar(side, bar)
    scene = side.scene(k, 0, 0, 0)
    try:
        again = decide_again(scene.config, scene.market, scene.before, scene.row)
    except DolphinError:
        raise
    except Exception as error:  # whatever the author's function raises in plain Python
        where = scene.config.strategy.source.name
        raise DolphinError(f"does not run as plain Python: {type(error).__name__}: {error}", where=where) from None
    return json_value(_document(side, scene, again, k, everything))


def _side(run: Run | RunSide | Path | str, workspace: Workspace | None) -> RunSide:
    if isinstance(run, RunSide):
        return run
    if not isinstance(run, Run):
        return run_side(Path(run), workspace or find())
    about = About(dict(run.config.document()), run.config.hash, run.dataset.name, run.dataset.digest, run.engine.digest)
    ready = run.config, run.market, run.dataset.symbols
    return RunSide("this run", about, run.market.ts[run.start : run.stop], run.recording.digests, None, ready=ready)


def _bar(side: RunSide, bar: int | str) -> int:
    """The bar's number in the run; ``bar`` is a row of the dataset or a time."""
    _, market, _ = side.opened()
    first = int(np.searchsorted(market.ts, side.ts_at(0)))
    text = str(bar).strip().replace(",", "")
    if text.isdigit():
        k = int(text) - first
        span = f"bars {first} to {first + side.bars - 1}"
    else:
        at = parse_time(text)
        k = int(np.searchsorted(market.ts[first : first + side.bars], at, side="right")) - 1
        if at > side.ts_at(side.bars - 1):
            k = side.bars
        span = f"{format_time(side.ts_at(0))} to {format_time(side.ts_at(side.bars - 1))}"
    if not 0 <= k < side.bars:
        raise DolphinError(f"no bar {bar} in this run", where=side.label, mend=f"it has {span}")
    return k


def _document(side: RunSide, scene: Scene, again: Decided, k: int, everything: bool) -> dict[str, Any]:
    time = format_time(side.ts_at(k))
    strategy, run = scene.config.engine.strategy, again.run
    wishes = [dict(zip(WISH, wish, strict=True)) for wish in run.wishes]
    for wish in wishes:
        wish["asset"] = scene.symbols[wish["asset"]]
        wish["action"] = ACTIONS[wish["action"]]
        wish["reason"] = strategy.reasons[wish["reason"]]
    refused = [{"slot": s, "reason": REFUSALS[code]} for s, code in enumerate(run.refused[-1]) if code != 0]
    frame = again.frame if everything else folded(again.frame)
    tree = document_of(frame, scene)
    fills = [order_text(order, scene.symbols) for order in scene.orders]
    found = {
        "run": side.label,
        "strategy": strategy.name,
        "bar": scene.row,
        "time": time,
        "reproduced": scene.again == side.digest_at(k),
        "agrees": _agrees(run.wishes, scene.after),
        "before": _before(scene),
        "decision": tree,
        "wishes": wishes,
        "refused": refused,
        "fills": fills,
    }
    return found | {"sentence": _sentence(found, decisive(tree))}


def _agrees(wishes: list[tuple[Any, ...]], after: State) -> bool:
    """Whether the compiled engine wanted the same in this bar, bit by bit."""
    compiled = [
        (s, *(after.intents[s][name].item() for name in WISH[2:]))
        for s in np.flatnonzero(after.intents["action"] != NONE).tolist()
    ]
    return repr([wish[1:] for wish in wishes]) == repr(compiled)


def _before(scene: Scene) -> dict[str, Any]:
    """The account as the bar found it."""
    account, state = scene.before.account[0], scene.before
    names = ("side", "qty", "entry_price", "entry_bar", "leverage")
    held = [
        {"slot": s, "asset": scene.symbols[int(slot["asset"])], **{name: slot[name].item() for name in names}}
        for s, slot in enumerate(state.slots)
        if slot["side"] != 0
    ]
    working = [
        {"slot": s, "asset": scene.symbols[int(order["asset"])], "action": ACTIONS[int(order["action"])]}
        | {name: order[name].item() for name in ("qty", "limit", "trigger")}
        for s, order in enumerate(state.working)
        if order["action"] != NONE
    ]
    money = {name: account[name].item() for name in ("capital", "equity")}
    return {**money, "positions": held, "working": working}


def _sentence(found: dict[str, Any], last: str) -> str:
    where = f"bar {found['bar']:,} ({found['time']})"
    if found["wishes"]:
        told = "; ".join(_wish(wish) for wish in found["wishes"][:3])
        more = f" and {len(found['wishes']) - 3} more" if len(found["wishes"]) > 3 else ""
        return f"{where}: wants {told}{more}"
    if found["refused"]:
        told = ", ".join(f"slot {one['slot']} {one['reason']}" for one in found["refused"][:3])
        return f"{where}: what it wants is refused ({told})"
    return f"{where}: wants nothing" + (f"; asked last: {last}" if last else "")


def _wish(wish: dict[str, Any]) -> str:
    way = "long" if wish["side"] > 0 else "short"
    reason = f" ({wish['reason']})" if wish["reason"] else ""
    return f"{wish['action']} {way} {wish['qty']:g} {wish['asset']}{reason}"
