"""``dolphin parity``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli.common import From, Json, Sets, To, emit, load_config, page_out, progress_bar, say, table, window

if TYPE_CHECKING:
    from dolphin.parity.divergence import Comparison

_SIDE = "Run folder, journal, DATASET@rung0, 2, 3 or 4 (with --config), JOURNAL@rung4."


def parity(
    left: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    right: Annotated[str | None, typer.Argument(metavar="B", help=_SIDE)] = None,
    against: Annotated[
        str | None, typer.Option("--against", help="research: A is a session, whose days are decided again.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Config file of the rungs that are run.")] = None,
    start: From = None,
    stop: To = None,
    sets: Sets = None,
    tolerance: Annotated[
        float | None,
        typer.Option("--tolerance", help="For machines whose bits differ: relative, of equity and capital."),
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report as a page, too.")] = None,
    as_json: Json = False,
) -> None:
    """The first bar, stage and field where two runs, journals or rungs differ, and why."""
    from dolphin.errors import BadInput

    if against is not None:
        if right is not None or against != "research":
            raise BadInput(f"--against {against}", mend="write: dolphin parity SESSION --against research")
        _prove(Path(left), html, as_json)
        return
    if right is None:
        raise BadInput("names one side", mend="name another, or --against research")
    _compare(left, right, config, start, stop, sets, tolerance, html, as_json)


def _prove(path: Path, html: Path | None, as_json: bool) -> None:
    from dolphin import workspace
    from dolphin.trade.proof import prove

    found = prove(workspace.find(), path)
    if html is not None and found.first is not None:
        from dolphin.report import write_parity_page

        write_parity_page(found.first.as_dict(), html)

    def tell() -> None:
        if found.first is None or not found.sentence.startswith(found.first.sentence):
            say(found.sentence)
        elif more := found.sentence.removeprefix(found.first.sentence).removeprefix("; "):
            say(more)
        if found.first is not None:
            _tell(found.first)

    emit(found.as_dict(), as_json, tell)
    if not found.equal:
        raise typer.Exit(1)


def _compare(
    left: str, right: str, config: Path | None, start: str | None, stop: str | None, sets: list[str] | None,
    tolerance: float | None, html: Path | None, as_json: bool,
) -> None:  # fmt: skip
    from dolphin import workspace
    from dolphin.errors import BadInput, NotFound
    from dolphin.parity.divergence import compare
    from dolphin.parity.named import side

    page_out(html)
    if tolerance is not None and not 0.0 < tolerance < 1.0:
        raise BadInput(f"--tolerance {tolerance:g} is no relative tolerance", mend="e.g. --tolerance 1e-9")
    try:
        home = workspace.find()
    except NotFound:
        home = None  # the digests can still be compared; only the fields need the data

    def prepare(name: str) -> Any:
        from dolphin.study.backtest import prepare as prepared

        assert home is not None and config is not None
        with progress_bar() as progress:
            return prepared(home, name, load_config(config, sets), *window(start, stop), progress)

    with tempfile.TemporaryDirectory(prefix="dolphin-parity-") as folder:
        sides = [
            side(name, home, prepare if config is not None else None, Path(folder) / which)
            for which, name in (("a", left), ("b", right))
        ]
        found = compare(sides[0], sides[1], home, tolerance=tolerance)
    if html is not None:
        from dolphin.report import write_parity_page

        write_parity_page(found.as_dict(), html)
    emit(found.as_dict(), as_json, lambda: _tell(found))
    if not found.equal:
        raise typer.Exit(1)


def _tell(found: Comparison) -> None:
    from dolphin.times import format_time

    if found.synthetic:
        say("SYNTHETIC data: this market is generated", style="bold yellow")
    say(found.sentence)
    for line in found.notes:
        say(f"  {line}")
    if found.positions is not None:
        a, b = found.positions
        say(f"  held before it: {a}" + ("" if a == b else f" (A), {b} (B)"))
    if found.fields:
        rows = []
        for f in found.fields:
            bits = "" if f.equal else " / ".join(str(one) for one in f.bits if one)
            rows.append((f.stage, f.name, repr(f.left), repr(f.right), "" if f.equal else "<-", bits))
        table(None, ("stage", "field", "A", "B", "", "bits"), rows)
    if found.around is not None and found.bar is not None:
        one, two = found.around
        k = found.bar - one.first
        before = []
        for j in range(max(0, k - 5), k):
            equity = float(one.equity[j]), float(two.equity[j])
            before.append((int(one.bars[j]), format_time(int(one.ts[j])), *equity, "; ".join(one.events[j])))
        table("the bars before", ("bar", "time", "equity A", "equity B", "orders and fills"), before)
