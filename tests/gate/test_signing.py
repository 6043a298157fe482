"""The audit log's head signed with an SSH key: a log that was written anew is told by it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from dolphin.errors import DolphinError
from dolphin.gate.champions import install
from dolphin.gate.promotion import verify
from dolphin.gate.signing import sign, signature_problems
from dolphin.workspace import Workspace, create

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not on this machine")


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    made = create(tmp_path / "w")
    install(made, {"config.json": b"{}", "run.json": b"{}"}, pointer="blue", reason="it passed")
    return made


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f", path], check=True)
    return path


def signers_of(*keys: Path) -> Path:
    lines = [f"ada {' '.join(key.with_suffix('.pub').read_text().split()[:2])}" for key in keys]
    path = keys[0].with_name("signers")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_signed_log_and_one_that_was_written_anew(home: Workspace, key: Path, tmp_path: Path) -> None:
    signers = signers_of(key)
    assert "no line of it is signed" in signature_problems(home, signers)[1][0]
    assert sign(home, key) == (1, home.promote / "signatures" / "000001.sig")
    install(home, {"config.json": b"{ }", "run.json": b"{}"}, pointer="blue", reason="the next")
    found = verify(home, signers=signers)
    assert found["passed"] and found["signed"] == 1 and found["audit_lines"] == 2
    assert sign(home, key)[0] == 2 and verify(home, signers=signers)["signed"] == 2
    # The same code writes another log with the same moves: its chain holds, its signatures do not.
    anew = create(tmp_path / "anew")
    for contents in (b"{}", b"{ }"):
        install(anew, {"config.json": contents, "run.json": b"{}"}, pointer="blue", reason="it passed")
    shutil.copytree(home.promote / "signatures", anew.promote / "signatures")
    assert verify(anew)["passed"]
    problems = verify(anew, signers=signers)["problems"]
    assert len(problems) == 2 and "is no signature of line 1 of the audit log by an allowed signer" in problems[0]


def test_who_is_not_allowed_and_what_cannot_be_signed(home: Workspace, key: Path, tmp_path: Path) -> None:
    sign(home, key)
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    assert "by an allowed signer" in signature_problems(home, signers_of(other))[1][0]
    with pytest.raises(DolphinError, match="ssh-keygen cannot sign"):
        sign(home, tmp_path / "none")
    with pytest.raises(DolphinError, match="no such file of allowed signers"):
        signature_problems(home, tmp_path / "none")
    (home.promote / "signatures" / "000009.sig").write_bytes(b"x")
    assert "line 000009 of the audit log, which is not there" in signature_problems(home, signers_of(key))[1][0]
    with pytest.raises(DolphinError, match="holds no line to sign"):
        sign(create(tmp_path / "empty"), key)
