"""The app of a workspace, served on a free port, and a browser of one person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse, ClientSession, CookieJar

from dolphin.ui import serving
from dolphin.ui.guard import Keys, cookie_of
from dolphin.workspace import Workspace


class App:
    """The app over a workspace, and a browser of one person."""

    def __init__(self, home: Workspace, keys: Keys, port: int, client: ClientSession) -> None:
        self.home, self.keys, self.port, self.client = home, keys, port, client
        self.base = f"http://127.0.0.1:{port}"

    async def enter(self) -> None:
        """Open the address that the command prints."""
        async with self.client.get(self.keys.entry(self.port)) as answer:
            assert answer.status == 200 and cookie_of(self.port) in answer.cookies

    async def get(self, path: str, **options: Any) -> tuple[ClientResponse, str]:
        """A page and its text."""
        async with self.client.get(self.base + path, **options) as answer:
            return answer, await answer.text()

    async def data(self, path: str) -> Any:
        """A document of the explorer."""
        async with self.client.get(self.base + path) as answer:
            return await answer.json()

    async def post(self, path: str, data: dict[str, str], **options: Any) -> tuple[ClientResponse, str]:
        """A form that is sent."""
        async with self.client.post(self.base + path, data=data, allow_redirects=False, **options) as answer:
            return answer, await answer.text()


@asynccontextmanager
async def opened(home: Workspace, *, enter: bool = True) -> AsyncIterator[App]:
    """The app, served on a free port."""
    keys = Keys()
    async with serving(home, keys, 0) as port, ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        app = App(home, keys, port, client)
        if enter:
            await app.enter()
        yield app
