"""A dataset made from its definition; see :mod:`dolphin.catalog.ingest.definition`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dolphin.catalog.ingest.definition import Definition, read_definition, resolve
from dolphin.catalog.ingest.importer import ImportReport, import_data
from dolphin.progress import Progress
from dolphin.times import parse_spacing, parse_time
from dolphin.workspace import Workspace

if TYPE_CHECKING:
    from dolphin.catalog.store.tables import Table


def build(workspace: Workspace, name: str, *, progress: Progress | None = None) -> ImportReport | Table:
    """Make a dataset as ``data_catalog/<name>.toml`` defines it.

    Raises
    ------
    DolphinError
        On a wrong definition or input that cannot be taken whole.
    QualityRefused
        Where the data breaks a limit of the definition; what the name meant before stays.
    """
    definition = read_definition(workspace, name)
    options = _options(workspace, definition)
    return import_data(workspace, definition.sources(workspace), name, progress=progress, **options)


def _options(workspace: Workspace, definition: Definition) -> dict[str, Any]:
    """The definition as options of the importer; what is not set is left out, so that any kind of data fits."""
    options: dict[str, Any] = {
        "spacing_ns": parse_spacing(definition.spacing) if definition.spacing else None,
        "instruments": resolve(workspace, definition.instruments) if definition.instruments else None,
        "reference": definition.reference,
        "start_ns": parse_time(definition.start) if definition.start else None,
        "stop_ns": parse_time(definition.stop) if definition.stop else None,
        "calendar": definition.calendar,
        "on_bad": definition.on_bad,
        "on_jump": definition.on_jump,
        "second": definition.second,
        "lags": definition.lags,
    }
    return {**options, "notes": definition.notes, "definition": definition}
