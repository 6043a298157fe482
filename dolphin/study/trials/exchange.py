"""A registry as one file: exported with its chain, checked line by line, merged into another.

The file is a ZIP of the chain, its segments byte for byte, the chain of holdouts and the sketches by which markets
are told. Where it is merged, the segments become links of that registry's own chain, with the same bytes and hashes,
and the chain that they came with is kept beside it (``experiments/registry/origins/``) and checked with it. So a look
of another workspace is a look here, a segment that is here already is not there twice, and nothing can be taken out
on the way: a chain carries the hash of every line before.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.errors import Damaged, DolphinError, NotFound
from dolphin.files import canonical_json, publish, sha256_bytes, write_bytes
from dolphin.ledger import GENESIS, follows
from dolphin.study.trials.holdouts import Entry, Holdouts
from dolphin.study.trials.registry import SCHEMA, Registry
from dolphin.workspace import Workspace

VERSION = 1
HEADER, CHAIN, HOLDOUTS = "registry.json", "chain.jsonl", "holdouts.jsonl"
#: The time of every member: the same registry is the same file.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MEND = "export it again from its workspace"


@dataclass(frozen=True)
class Exported:
    """A registry as its file holds it, every hash checked.

    Attributes
    ----------
    head : str
        Hash of the last link.
    chain : bytes
        The links, a line each.
    segments : tuple of bytes
        In the order of the chain.
    holdouts : tuple of dict
        The lines about holdouts.
    markets : dict of bytes
        Sketches of markets by file name.
    """

    head: str
    chain: bytes
    segments: tuple[bytes, ...]
    holdouts: tuple[Entry, ...]
    markets: dict[str, bytes]


def export_registry(workspace: Workspace, out: Path) -> dict[str, Any]:
    """Write the registry of a workspace to a file; what it holds, in numbers.

    Raises
    ------
    DolphinError
        If its chain does not hold, or the file cannot be written.
    """
    out = Path(out)
    if out.is_dir():
        raise DolphinError("is a folder", where=str(out), mend="give the name of a file")
    found = _of_workspace(workspace)
    links = _links(found.chain, str(out))
    members: dict[str, bytes] = {CHAIN: found.chain}
    members |= {f"segments/{link['segment']}": data for link, data in zip(links, found.segments, strict=True)}
    members[HOLDOUTS] = b"".join(canonical_json(entry) + b"\n" for entry in found.holdouts)
    members |= {f"markets/{name}": data for name, data in found.markets.items()}
    about = {"version": VERSION, "head": found.head, "sha256": {name: sha256_bytes(members[name]) for name in members}}
    with publish(out) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for name, data in ({HEADER: canonical_json(about)} | members).items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return _numbers(found)


def import_registry(workspace: Workspace, source: Path) -> dict[str, Any]:
    """Merge an exported registry into that of a workspace; what was new, in numbers.

    Raises
    ------
    DolphinError
        If the file, or this registry's own chain, is not as it was written; nothing is merged then.
    """
    return _merge(workspace, read_exported(source))


def merge_registry(workspace: Workspace, other: Workspace) -> dict[str, Any]:
    """Merge the registry of another workspace on this machine; see :func:`import_registry`."""
    if other.root.resolve() == workspace.root.resolve():
        raise DolphinError("is this workspace itself", where=str(other.root), mend="name another one")
    return _merge(workspace, _of_workspace(other))


def read_exported(source: Path) -> Exported:
    """An exported registry, checked.

    Raises
    ------
    Damaged
        If a line or segment is changed, missing or added.
    """
    where = str(source)
    try:
        with zipfile.ZipFile(source) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        about = json.loads(members.pop(HEADER))
        version, stated, head = about["version"], dict(about["sha256"]), str(about["head"])
    except FileNotFoundError:
        raise NotFound("no such file", where=where, mend="name one that 'dolphin trials export' wrote") from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError, NotImplementedError):
        raise Damaged("is no exported registry, or is damaged", where=where, mend=_MEND) from None
    if version != VERSION:
        raise DolphinError(f"is of version {version}, this reads {VERSION}", where=where, mend="use that version")
    for name in sorted(members.keys() | stated.keys()):
        if name not in members or stated.get(name) != sha256_bytes(members[name]):
            raise Damaged(f"'{name}' was changed since it was exported", where=where, mend=_MEND)
    chain = members.get(CHAIN, b"")
    links = _links(chain, where)
    segments = tuple(_segment(members, link, where) for link in links)
    if (links[-1]["hash"] if links else GENESIS) != head:
        raise Damaged("its chain does not end where it says", where=where, mend=_MEND)
    markets = {name.removeprefix("markets/"): data for name, data in members.items() if name.startswith("markets/")}
    if any("/" in name or not name.endswith(".parquet") for name in markets):
        raise Damaged("holds a sketch of a market under a strange name", where=where, mend=_MEND)
    return Exported(head, chain, segments, _holdouts(members.get(HOLDOUTS, b""), where), markets)


def origin_problems(registry: Registry) -> list[str]:
    """Origins whose chain breaks, or of which a segment is no link here; empty if all hold."""
    found = []
    here = {link["sha256"] for link in registry.links()}
    for path in sorted((registry.folder / "origins").glob("*.jsonl")):
        try:
            links = _links(path.read_bytes(), str(path))
        except Damaged as error:
            found.append(str(error))
            continue
        if (links[-1]["hash"] if links else GENESIS) != path.stem:
            found.append(f"{path}: its chain does not end where its name says")
        missing = [link["segment"] for link in links if link["sha256"] not in here]
        found += [f"{path}: its {segment} is no part of this registry" for segment in missing]
    return found


def _of_workspace(workspace: Workspace) -> Exported:
    registry = Registry(workspace)
    problems = registry.problems() + origin_problems(registry)
    if problems:
        raise Damaged(problems[0], mend="restore it; a broken chain is not passed on")
    links = registry.links()
    segments = tuple((registry.folder / link["segment"]).read_bytes() for link in links)
    chain = b"".join(json.dumps(link, sort_keys=True).encode() + b"\n" for link in links)
    markets = {path.name: path.read_bytes() for path in sorted((workspace.experiments / "markets").glob("*.parquet"))}
    head = links[-1]["hash"] if links else GENESIS
    return Exported(head, chain, segments, tuple(Holdouts(workspace).entries()), markets)


def _merge(workspace: Workspace, found: Exported) -> dict[str, Any]:
    registry = Registry(workspace)
    problems = registry.problems() + origin_problems(registry)
    if problems:
        raise Damaged(problems[0], mend="restore it; nothing was merged")
    for name, data in found.markets.items():  # first: by these it is told which looks are at one market
        path = workspace.experiments / "markets" / name
        if not path.is_file():
            write_bytes(path, data)
    before = registry.trials().select(pl.len()).collect().item()
    added = registry.adopt(found.segments)
    openings = Holdouts(workspace).adopt(found.holdouts)
    origin = registry.folder / "origins" / f"{found.head}.jsonl"
    own = any(link["hash"] == found.head for link in registry.links())  # its chain is the beginning of ours
    if found.segments and not own and not origin.is_file():
        write_bytes(origin, found.chain)
    after = registry.trials().select(pl.len()).collect().item()
    return _numbers(found) | {"segments_added": added, "trials_added": after - before, "holdout_lines_added": openings}


def _numbers(found: Exported) -> dict[str, Any]:
    return {
        "head": found.head, "segments": len(found.segments), "trials": sum(map(_rows, found.segments)),
        "holdout_lines": len(found.holdouts), "markets": len(found.markets),
    }  # fmt: skip


def _rows(segment: bytes) -> int:
    return int(pl.scan_parquet(io.BytesIO(segment)).select(pl.len()).collect().item())


def _links(chain: bytes, where: str) -> list[dict[str, str]]:
    """The links of a chain, each checked against the one before."""
    found, previous = [], GENESIS
    for number, raw in enumerate(chain.splitlines(), 1):
        try:
            link = json.loads(raw)
            whole = follows(link, previous, lambda body: json.dumps(body, sort_keys=True).encode())
            whole = whole and sorted(link) == ["hash", "previous", "segment", "sha256"]
        except (ValueError, AttributeError, TypeError):
            whole = False
        if not whole:
            raise Damaged(f"line {number} of the chain was changed or does not follow", where=where, mend=_MEND)
        found.append(link)
        previous = link["hash"]
    return found


def _segment(members: dict[str, bytes], link: dict[str, str], where: str) -> bytes:
    """A segment that is what its link says, and whose columns can be read with ours."""
    data = members.get(f"segments/{link['segment']}")
    if data is None or sha256_bytes(data) != link["sha256"]:
        raise Damaged(f"{link['segment']} is not what the chain says", where=where, mend=_MEND)
    try:
        kinds = pl.read_parquet_schema(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError):
        raise Damaged(f"{link['segment']} is not readable as Parquet", where=where, mend=_MEND) from None
    other = [name for name, kind in SCHEMA.items() if name in kinds and kinds[name] != kind]
    if other:
        raise DolphinError(f"{link['segment']}: column '{other[0]}' is of another kind", where=where, mend=_MEND)
    return data


def _holdouts(data: bytes, where: str) -> tuple[Entry, ...]:
    found, previous = [], GENESIS
    for number, raw in enumerate(data.splitlines(), 1):
        try:
            entry = json.loads(raw)
            whole = canonical_json(entry) == raw and follows(entry, previous, canonical_json)
        except (ValueError, AttributeError, TypeError):
            whole = False
        if not whole:
            raise Damaged(f"line {number} of the holdouts was changed or does not follow", where=where, mend=_MEND)
        found.append(entry)
        previous = entry["hash"]
    return tuple(found)
