"""A real headless Chromium, driven over its own protocol: pages opened, keys pressed, what it complains of kept."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

#: Seconds until something that must come is given up.
PATIENCE = 60.0
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-dev-shm-usage",
    "--disable-background-networking", "--remote-debugging-port=0", "about:blank",
)  # fmt: skip
_KEYS = {"ArrowRight": 39, "ArrowLeft": 37, " ": 32, "Enter": 13, "Tab": 9}


def chromium() -> str | None:
    """The program, where there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One page; ``complaints`` are errors of scripts, of the console and of the security policy."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()
        self.complaints: list[str] = []
        self.session: str | None = None

    async def listen(self) -> None:
        """Take what the browser says, until it says no more."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                break
            told = message.json()
            if told.get("id") in self._waiting:
                future = self._waiting.pop(told["id"])
                if not future.done():
                    future.set_result(told)
                continue
            match told.get("method"):
                case "Page.loadEventFired":
                    self._loaded.set()
                case "Runtime.exceptionThrown":
                    self.complaints.append(str(told["params"]["exceptionDetails"].get("exception", told["params"])))
                case "Log.entryAdded" if told["params"]["entry"]["level"] == "error":
                    entry = told["params"]["entry"]
                    self.complaints.append(f"{entry['text']} {entry.get('url', '')}")

    async def call(self, method: str, **params: Any) -> Any:
        """One call of the protocol."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        about = {"sessionId": self.session} if self.session else {}
        await self._socket.send_json({"id": number, "method": method, "params": params, **about})
        told = await asyncio.wait_for(self._waiting[number], PATIENCE)
        assert "error" not in told, (method, told["error"])
        return told["result"]

    async def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self._loaded.clear()
        await self.call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), PATIENCE)

    async def ask(self, script: str) -> Any:
        """The value of an expression in the page."""
        told = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, (script, told)
        return told["result"].get("value")

    async def until(self, script: str) -> Any:
        """Wait until an expression is true; its value, which must be plain: an element would be an empty object."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while True:
            found = await self.ask(script)
            if found:
                return found
            assert asyncio.get_running_loop().time() < end, (script, self.complaints)
            await asyncio.sleep(0.05)

    async def press(self, key: str, shift: bool = False) -> None:
        """A key, down and up."""
        text = key if len(key) == 1 else ""
        code = _KEYS.get(key, ord(key.upper()) if text else 0)
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, modifiers=8 * shift, **more
            )

    async def click(self, x: float, y: float) -> None:
        """The left button at a place of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def window(self, width: int, height: int, *, dark: bool = False) -> None:
        """How large it is, and what colours its user likes."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self, path: Path, *, whole: bool = False) -> None:
        """What one sees, as PNG."""
        told = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(told["data"]))


@asynccontextmanager
async def browsing() -> AsyncIterator[Tab]:
    """A browser of one's own with one page; gone when the block ends."""
    program = chromium()
    assert program is not None
    home = Path(tempfile.mkdtemp(prefix="chromium"))
    process = await asyncio.create_subprocess_exec(
        program, f"--user-data-dir={home}", *FLAGS,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            while not (home / "DevToolsActivePort").is_file() or not (home / "DevToolsActivePort").read_text():
                assert process.returncode is None, "Chromium did not start"
                await asyncio.sleep(0.05)
        port, path = (home / "DevToolsActivePort").read_text().splitlines()
        async with ClientSession() as client, client.ws_connect(
            f"ws://127.0.0.1:{port}{path}", max_msg_size=1 << 27
        ) as socket:  # fmt: skip
            tab = Tab(socket)
            listener = asyncio.create_task(tab.listen())
            target = await tab.call("Target.createTarget", url="about:blank")
            attached = await tab.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            tab.session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                await tab.call(f"{domain}.enable")
            try:
                yield tab
            finally:
                listener.cancel()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        shutil.rmtree(home, ignore_errors=True)
