"""``dolphin ui`` as a user has it: an address, one line at its end, one line where the port is taken."""

from __future__ import annotations

import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest
from command_line import command, environment, process


def test_it_prints_an_address_answers_and_ends_in_one_line(home) -> None:
    running = subprocess.Popen(
        command("ui", "--port", "0", "--no-browser"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(home),
    )  # fmt: skip
    try:
        assert running.stdout is not None
        address = running.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:") and "/enter?token=" in address
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert answer.status == 200 and "HttpOnly" in answer.headers["Set-Cookie"]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(address.partition("/enter")[0], timeout=60)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == 130 and out == "" and err.count("\n") == 1 and err.startswith("dolphin: interrupted")


@pytest.mark.slow
def test_a_taken_port_is_one_line(home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = process(home, "ui", "--port", port, "--no-browser")
    assert answer.code == 2 and f"127.0.0.1:{port}" in answer.complaint and "--port" in answer.complaint
