"""The head of the audit log signed with an SSH key: who had the log so, told on any machine that knows the key.

A chain of hashes tells a changed line, not a log that somebody wrote anew from the first line on. A signature of its
last line does: ``ssh-keygen -Y sign`` makes it, and ``ssh-keygen -Y verify`` checks it against a file of allowed
signers (``NAME KEYTYPE KEY`` a line, as git has it).
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from dolphin.errors import DolphinError
from dolphin.files import write_bytes
from dolphin.gate.audit import read_audit
from dolphin.workspace import Workspace

#: What the signature is for: one of other data by the same key is none of the log.
NAMESPACE = "dolphin-audit"
FOLDER = "signatures"


def sign(workspace: Workspace, key: Path) -> tuple[int, Path]:
    """Sign the last line of the audit log; its number, and the file of the signature.

    Parameters
    ----------
    key : Path
        Private key, or the public one of a key that an agent holds.

    Raises
    ------
    DolphinError
        If there is nothing to sign, the chain is broken, or ``ssh-keygen`` cannot sign with the key.
    """
    log = read_audit(workspace.promote / "audit.jsonl")
    if log.problem or log.torn:
        raise DolphinError(log.problem or "its last line is torn", where=str(log.path), mend="'dolphin promote verify'")
    if not log.lines:
        raise DolphinError("holds no line to sign", where=str(log.path), mend="promote something first")
    with tempfile.TemporaryDirectory(prefix="dolphin-sign-") as folder:
        file = Path(folder) / "head"
        file.write_bytes(_text(len(log.lines), log.head))
        _keygen("sign", "-f", str(key), "-n", NAMESPACE, str(file), where=str(key))
        data = file.with_name("head.sig").read_bytes()
    path = workspace.promote / FOLDER / f"{len(log.lines):06d}.sig"
    write_bytes(path, data)
    return len(log.lines), path


def signature_problems(workspace: Workspace, signers: Path) -> tuple[int, list[str]]:
    """The last line that an allowed signer signed (0: none), and what is wrong with signatures, a line each.

    Parameters
    ----------
    signers : Path
        File of allowed signers.
    """
    if not signers.is_file():
        raise DolphinError("no such file of allowed signers", where=str(signers), mend="a line is: NAME KEYTYPE KEY")
    log = read_audit(workspace.promote / "audit.jsonl")
    last, problems = 0, []
    for path in sorted((workspace.promote / FOLDER).glob("*.sig")):
        number = int(path.stem) if path.stem.isdigit() else 0
        if not 0 < number <= len(log.lines):
            problems.append(f"{path}: signs line {path.stem} of the audit log, which is not there")
            continue
        text = _text(number, str(log.lines[number - 1]["hash"]))
        try:
            who = _keygen("find-principals", "-s", str(path), "-f", str(signers), where=str(path)).split()[0]
            _keygen(
                "verify", "-f", str(signers), "-I", who, "-n", NAMESPACE, "-s", str(path), where=str(path), text=text
            )
        except (DolphinError, IndexError):
            problems.append(f"{path}: is no signature of line {number} of the audit log by an allowed signer")
            continue
        last = number
    if not last and not problems:
        problems.append(f"{log.path}: no line of it is signed")
    return last, problems


def _text(number: int, digest: str) -> bytes:
    return f"{number} {digest}\n".encode()


def _keygen(action: str, *words: str, where: str, text: bytes | None = None) -> str:
    try:
        done = subprocess.run(
            ["ssh-keygen", "-Y", action, *words], input=text if text is not None else b"",
            capture_output=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise DolphinError("ssh-keygen is not installed", mend="install OpenSSH 8.0 or newer") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[:200]
        raise DolphinError(f"ssh-keygen cannot {action}: {said or 'no word'}", where=where)
    return done.stdout.decode(errors="replace")
