"""``dolphin compare``: green against blue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dolphin.cli.common import Json, emit, note, page_out, progress_bar, say, table


def compare(
    green: Annotated[
        str, typer.Argument(metavar="GREEN", help="The rival: green, blue, run folder, session folder or journal.")
    ],
    blue: Annotated[str, typer.Argument(metavar="BLUE", help="What stays unless the rival is better.")],
    since: Annotated[
        str | None, typer.Option("--since", help="First UTC day judged; default: after what either side has seen.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="Dataset on which pointers are run.")] = None,
    backtest: Annotated[
        tuple[str, str] | None, typer.Option("--backtest", help="Earlier runs of both, for the scale of a difference.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="The growing evidence as a page: one HTML file.")] = None,
    as_json: Json = False,
) -> None:
    """Is green better than blue: paired daily differences, evidence that may be looked at on any day."""
    from dolphin import workspace
    from dolphin.catalog import parse_time
    from dolphin.gate.champions import POINTERS
    from dolphin.gate.comparison.compare import compare as judge
    from dolphin.gate.comparison.sides import read_side, session_of
    from dolphin.times import DAY_NS

    page_out(html)
    first = parse_time(since) // DAY_NS if since else None
    home = workspace.find()
    judged = (green, blue)
    sessions = [session_of(home, text) if text in POINTERS and data is None else None for text in judged]
    if all(sessions):
        judged = (str(sessions[0]), str(sessions[1]))
        note(f"dolphin: by the sessions {green} and {blue}; --data DATASET compares runs of their champions")
    with progress_bar() as progress:
        sides = [read_side(home, text, data=data, progress=progress) for text in judged]
        past = [read_side(home, text, data=data, progress=progress) for text in backtest or ()]
    found = judge(sides[0], sides[1], since=first, backtest=(past[0], past[1]) if past else None)
    if html is not None:
        from dolphin.report.comparison_page import comparison_page
        from dolphin.report.markup import write_page

        write_page(comparison_page(found), html)

    def show() -> None:
        say(found["sentence"], style="bold")
        rows = [
            (f"{row['sharpe']:g}", _days(row["days"]), _days(row["days_from_here"]), f"{row['within_a_year']:.0%}")
            for row in found["days_needed"]
        ]
        heads = ("Sharpe of the difference", "days from a start", "days from here", "told within a year")
        table(f"judged: {found['days']} days; scale: {found['days_of_scale']} days before", heads, rows)
        for line in found["warnings"]:
            note(line)

    emit(found, as_json, show)


def _days(count: int | None) -> str:
    from dolphin.gate.comparison.needed import HORIZON

    return f"{count:,}" if count is not None else f"over {HORIZON:,}"
