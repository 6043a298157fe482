"""A dataset's definition: ``data_catalog/<name>.toml`` says where it comes from and what it must be like.

With it and its sources a dataset is reproducible: ``dolphin data build NAME`` makes it, and refuses it
where it breaks one of its own limits.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dolphin.catalog.quality.rules import BY_NAME
from dolphin.catalog.store.layout import check_name
from dolphin.errors import DolphinError, nearest
from dolphin.files import canonical_json, sha256_bytes
from dolphin.times import format_duration, parse_duration
from dolphin.workspace import Workspace

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]
_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Limits(BaseModel):
    """The worst quality that is still taken; what is not named is not limited.

    ``missing_share`` is of the whole grid, ``symbol_missing_share`` of every symbol's; ``longest_gap`` is a
    duration (``30m``, ``5h``); ``rejected`` is the rows set aside by all rules together, ``rows`` what one
    rule may count (set aside, put in order or flagged), e.g. ``rows.price_jump = 100``.
    """

    model_config = _STRICT

    missing_share: Share | None = None
    symbol_missing_share: Share | None = None
    longest_gap: str | None = None
    rejected: Count | None = None
    rows: dict[str, Count] = {}

    def breaches(self, quality: Mapping[str, Any], spacing_ns: int) -> tuple[str, ...]:
        """One line per limit that these quality numbers break: which, the value, the limit, the symbol."""
        lines = []
        gaps = quality["gaps"]
        if self.missing_share is not None and quality["missing_share"] > self.missing_share:
            lines.append(f"missing_share: {quality['missing_share']:.4%} of the grid, limit {self.missing_share:.4%}")
        if self.symbol_missing_share is not None:
            over = {symbol: gap["share"] for symbol, gap in gaps.items() if gap["share"] > self.symbol_missing_share}
            lines += [
                f"symbol_missing_share: {share:.4%} of {symbol}, limit {self.symbol_missing_share:.4%}"
                for symbol, share in sorted(over.items(), key=lambda item: -item[1])
            ]
        if self.longest_gap is not None:
            symbol = max(gaps, key=lambda name: gaps[name]["longest"])
            longest = gaps[symbol]["longest"] * spacing_ns
            if longest > parse_duration(self.longest_gap):
                lines.append(f"longest_gap: {format_duration(longest)} of {symbol}, limit {self.longest_gap}")
        if self.rejected is not None and quality["rejected"] > self.rejected:
            lines.append(f"rejected: {quality['rejected']:,} rows set aside, limit {self.rejected:,}")
        for rule, most in self.rows.items():
            count = quality["counts"].get(rule, 0)  # rules of quotes count where there are some
            if count > most:
                lines.append(f"rows.{rule}: {count:,} rows, limit {most:,}")
        return tuple(lines)


class Definition(BaseModel):
    """Every key of a definition file; the same words as the options of ``dolphin data import``."""

    model_config = ConfigDict(**_STRICT, populate_by_name=True)

    source: tuple[str, ...]
    spacing: str | None = None
    symbols: tuple[str, ...] | None = None
    reference: str = "BTCUSDT"
    start: str | None = Field(None, alias="from")
    stop: str | None = Field(None, alias="to")
    instruments: str | None = None
    calendar: str | None = None
    on_bad: Literal["error", "reject"] = "error"
    on_jump: Literal["flag", "reject"] = "flag"
    second: str | None = None
    lags: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    limits: Limits = Limits()

    def document(self) -> dict[str, Any]:
        """Every key, as plain JSON types."""
        document: dict[str, Any] = self.model_dump(mode="json", by_alias=True)
        return document

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form."""
        return sha256_bytes(canonical_json(self.document()))

    def sources(self, workspace: Workspace) -> tuple[Path, ...]:
        """The files and folders it is made from."""
        return tuple(resolve(workspace, text) for text in self.source)


def definition_path(workspace: Workspace, name: str) -> Path:
    """Where the definition of a dataset lies, beside its manifest and like it versioned by git."""
    check_name(name)
    return workspace.catalog / f"{name}.toml"


def read_definition(workspace: Workspace, name: str) -> Definition:
    """The definition of a dataset.

    Raises
    ------
    DolphinError
        If there is none (the nearest is suggested), an unknown key, a wrong type or a value out of range.
    """
    path = definition_path(workspace, name)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = [p.stem for p in workspace.catalog.glob("*.toml")]
        mend = nearest(name, known) if known else "write one: source, spacing, symbols, [limits]; see docs/data.md"
        raise DolphinError("no such definition", where=str(path), mend=mend) from None
    except (OSError, ValueError) as error:
        raise DolphinError(f"not valid: {' '.join(str(error).split())}", where=str(path)) from None
    return parse_definition(table, str(path))


def parse_definition(table: Mapping[str, Any], where: str) -> Definition:
    """A definition from its table (see :func:`read_definition`)."""
    keys = [field.alias or name for name, field in Definition.model_fields.items()]
    _check_keys(table, keys, "", where)
    limits = table.get("limits", {})
    if not isinstance(limits, Mapping):
        raise DolphinError("[limits] must be a table", where=where)
    _check_keys(limits, list(Limits.model_fields), "limits.", where)
    if isinstance(limits.get("rows"), Mapping):
        _check_keys(limits["rows"], list(BY_NAME), "limits.rows.", where)
    values = {key: _plain(value) for key, value in table.items()}
    if isinstance(values.get("source"), str):
        values["source"] = (values["source"],)
    try:
        definition = Definition.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise DolphinError(
            f"{key} is missing" if first["type"] == "missing" else f"{key} = {first['input']!r}: {reason}", where=where
        ) from None
    if not definition.source:
        raise DolphinError("source is empty", where=where, mend="name the files or folders the data comes from")
    for duration in (definition.limits.longest_gap, *definition.lags.values()):
        if duration is not None:
            parse_duration(duration)
    return definition


def resolve(workspace: Workspace, text: str) -> Path:
    """A path of a definition: ``${NAME}`` is taken from the environment, a relative one is of the workspace.

    Raises
    ------
    DolphinError
        If a variable is not set.
    """
    for name in re.findall(r"\$\{?(\w+)\}?", text):
        if name not in os.environ:
            raise DolphinError(f"the environment has no {name}", where=text, mend=f"export {name}=FOLDER")
    return workspace.root / Path(os.path.expandvars(text)).expanduser()


def _check_keys(table: Mapping[str, Any], known: list[str], prefix: str, where: str) -> None:
    for key in table:
        if key not in known:
            raise DolphinError(f"unknown key '{prefix}{key}'", where=where, mend=nearest(str(key), known))


def _plain(value: Any) -> Any:
    """TOML's arrays as tuples and its dates as the text that options take."""
    if isinstance(value, list):
        return tuple(_plain(item) for item in value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value
