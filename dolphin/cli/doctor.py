"""``dolphin doctor``."""

from __future__ import annotations

import typer

from dolphin.cli.common import Json, emit, table


def doctor(as_json: Json = False) -> None:
    """What works here, what is missing, and how to mend it."""
    from dolphin.cli.diagnosis import examine

    findings = examine()

    def show() -> None:
        words = {True: "ok", False: "MISSING", None: "optional, absent"}
        table(None, ("part", "state", "detail"), [(f.part, words[f.ok], f.detail) for f in findings])

    document = [{"part": f.part, "ok": f.ok, "detail": f.detail} for f in findings]
    emit({"findings": document}, as_json, show)
    if any(f.ok is False for f in findings):
        raise typer.Exit(2)
