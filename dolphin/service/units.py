"""The services of a workspace: user units of systemd, or a compose file, from templates."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dolphin.errors import BadInput, DolphinError, NotFound, nearest
from dolphin.files import write_bytes

TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True)
class Service:
    """One service: its name, what it is, and the arguments of ``dolphin``."""

    name: str
    what: str
    words: tuple[str, ...]

    @property
    def unit(self) -> str:
        """The name of its unit."""
        return f"dolphin-{self.name}.service"


def services_of(session: Sequence[str] = (), port: int = 9464) -> tuple[Service, ...]:
    """The services of a workspace: jobs, status port, and the watched session if there is one."""
    out = [
        Service("jobs", "daily jobs", ("service", "run-jobs")),
        Service("status", "status port", ("service", "status-port", "--port", str(port))),
    ]
    if session:
        out.append(Service("session", "trading session", ("service", "watch", "--", "dolphin", *session)))
    return tuple(out)


def unit_folder() -> Path:
    """Where systemd looks for the user's units."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def unit_text(service: Service, root: Path) -> str:
    """The unit of a service."""
    template = (TEMPLATES / "unit.service").read_text(encoding="utf-8")
    words = [sys.executable, "-m", "dolphin", *_own(service.words)]
    command = " ".join(_quoted(word) for word in words)
    path = str(root).replace("%", "%%")
    return template.format(unit=service.unit, what=service.what, root=path, command=command)


def compose_text(services: Sequence[Service], root: Path) -> str:
    """The compose file of the services."""
    one = (TEMPLATES / "compose_service.yaml").read_text(encoding="utf-8")
    parts = [
        one.format(name=service.name, command=json.dumps(["dolphin", *service.words]), root=root)
        for service in services
    ]
    return (TEMPLATES / "compose.yaml").read_text(encoding="utf-8").format(services="\n".join(parts).rstrip())


def install(services: Sequence[Service], root: Path, folder: Path | None = None) -> list[Path]:
    """Write the units; the paths. Systemd reads them at its next ``daemon-reload``, which is asked for if it runs."""
    folder = folder or unit_folder()
    written = []
    for service in services:
        if _NAME.fullmatch(service.name) is None:
            raise BadInput(f"'{service.name}' is no name of a service", mend="small letters, digits, hyphens")
        write_bytes(folder / service.unit, unit_text(service, root).encode())
        written.append(folder / service.unit)
    return written


def installed(folder: Path | None = None) -> list[str]:
    """Names of the services whose units are there."""
    folder = folder or unit_folder()
    return sorted(path.stem.removeprefix("dolphin-") for path in folder.glob("dolphin-*.service"))


def control(verb: str, names: Sequence[str]) -> int:
    """``systemctl --user VERB`` of services (by default all that are installed); its exit code.

    Raises
    ------
    DolphinError
        If there is none of this name, or no systemd of the user runs here.
    """
    _require("systemctl")
    units = [f"dolphin-{name}.service" for name in _known(names)]
    for words in (["daemon-reload"], [verb, *units]):
        done = subprocess.run(
            ["systemctl", "--user", "--no-pager", *words], capture_output=True, text=True, check=False
        )
        if "Failed to connect" in done.stderr or "not been booted" in done.stderr:
            raise DolphinError(
                "no systemd of this user runs here", where="systemctl --user",
                mend="run 'loginctl enable-linger', use --compose, or 'dolphin service run-jobs' in a terminal",
            )  # fmt: skip
    print(done.stdout or done.stderr, end="")
    return done.returncode


def logs(names: Sequence[str], lines: int, follow: bool) -> int:
    """``journalctl --user`` of services; its exit code."""
    _require("journalctl")
    units = [word for name in _known(names) for word in ("--user-unit", f"dolphin-{name}.service")]
    words = ["journalctl", "--no-pager", "--lines", str(lines), *units, *(["--follow"] if follow else [])]
    return subprocess.run(words, check=False).returncode


def _known(names: Sequence[str]) -> list[str]:
    there = installed()
    if not there:
        raise NotFound("no service is installed", where=str(unit_folder()), mend="run 'dolphin service install'")
    for name in names:
        if name not in there:
            raise NotFound(f"no service '{name}'", where=str(unit_folder()), mend=nearest(name, there))
    return list(names) or there


def _require(program: str) -> None:
    if shutil.which(program) is None:
        raise DolphinError(f"{program} is not on this machine", where="dolphin service", mend="use --compose instead")


def _own(words: Sequence[str]) -> list[str]:
    """``dolphin`` behind ``--`` is the interpreter that wrote the unit: units have no PATH of a shell."""
    out: list[str] = []
    for word in words:
        out += [sys.executable, "-m", "dolphin"] if word == "dolphin" and out and out[-1] == "--" else [word]
    return out


def _quoted(word: str) -> str:
    """A word of ExecStart: systemd expands % and $ and splits at spaces."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{word}"' if re.search(r"[\s\"';]", word) or not word else word
