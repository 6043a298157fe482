"""``dolphin scan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli.common import Dataset, Json, emit, hint, note, progress_bar, say, table

if TYPE_CHECKING:
    from dolphin.catalog import Dataset as Opened


def scan(
    name: Dataset,
    windows: Annotated[
        str | None, typer.Option("--windows", help="Bars, e.g. 20,60,120,240; stored apart. Default: 50,150,300,750.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=0, help="Days side by side; 0: one per core.")] = 0,
    spectrum: Annotated[bool, typer.Option("--spectrum", help="Also every eigenvalue of every bar.")] = False,
    certify: Annotated[
        int, typer.Option("--certify", min=0, help="Prove this many random eigenvalues by interval arithmetic.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the rows to certify.")] = 1,
    as_json: Json = False,
) -> None:
    """Feature rows for every bar; only what is missing is computed."""
    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.features import WINDOWS
    from dolphin.market.scanning import scan_dataset, scan_days

    dataset = open_dataset(workspace.find(), name)
    lengths = parse_windows(windows) if windows else WINDOWS
    with progress_bar() as progress:
        done = scan_dataset(dataset, progress, windows=lengths, threads=threads)
        folder = scan_days(dataset, lengths).folder
        document: dict[str, Any] = {
            "dataset": name,
            "windows": list(lengths),
            "days": done.days,
            "computed": done.computed,
            "rows": done.rows,
            "kept": done.kept,
            "recomputed": done.recomputed,
            "unproven": done.unproven,
            "folder": str(folder),
        }
        if spectrum:
            from dolphin.market.spectra import write_spectra

            document["spectrum"] = write_spectra(dataset, windows=lengths, threads=threads, progress=progress)
    if certify:
        document["certificates"] = _certificates(dataset, lengths, certify, seed)
    emit(document, as_json, lambda: _show(document))
    if not as_json:
        hint(f"dolphin backtest {name} --config FILE.toml")
    if done.unproven:
        note(f"{done.unproven} eigenvalues are not proven to 1e-10 (recomputed_* is 2 in {folder}/detail)")
    if any(not found["proven"] for found in document.get("certificates", ())):
        raise typer.Exit(1)


def parse_windows(text: str) -> tuple[int, ...]:
    """Window lengths of an option such as ``20,60,120,240``."""
    from dolphin.errors import DolphinError
    from dolphin.features import check_windows

    try:
        return check_windows([int(part) for part in text.split(",")])
    except ValueError:
        raise DolphinError(f"--windows {text}: not numbers of bars", mend="e.g. --windows 20,60,120,240") from None


def _certificates(dataset: Opened, windows: tuple[int, ...], count: int, seed: int) -> list[dict[str, Any]]:
    from dolphin.market.certify import certify_rows

    with progress_bar() as progress:
        return [found.as_dict() for found in certify_rows(dataset, windows, count, seed, progress)]


def _show(document: dict[str, Any]) -> None:
    line = f"{document['dataset']}: {document['computed']} of {document['days']} days computed"
    if document["recomputed"]:
        line += f", {document['recomputed']} eigenvalues made again from their window"
    say(f"{line}, in {document['folder']}")
    if "spectrum" in document:
        say(f"spectra: {document['spectrum']['computed']} days computed, in {document['spectrum']['folder']}")
    if certificates := document.get("certificates"):
        columns = ("row", "time", "window", "assets", "lambda", "enclosure", "error <=", "proven")
        rows = [
            (
                found["row"],
                found["time"],
                found["window"],
                found["assets"],
                repr(found["value"]),
                f"[{found['lower']!r}, {found['upper']!r}]",
                f"{found['error']:.1e}",
                found["proven"],
            )
            for found in certificates
        ]
        table("Largest eigenvalues, proven by interval arithmetic", columns, rows)
        proven = sum(found["proven"] for found in certificates)
        say(f"{proven} of {len(certificates)} within a relative error of 1e-10")
