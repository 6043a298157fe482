"""Sockets: who listens to what, and messages that get lost, doubled, late or out of order where that is asked for."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from typing import Any

from aiohttp import WSMsgType, web

from dolphin.exchange.faults import Faults

#: Messages a second that a client may send before the exchange cuts the line.
MOST_A_SECOND = 10


class Streams:
    """Market sockets by stream, user sockets, and the faults of both."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.market: dict[str, set[web.WebSocketResponse]] = defaultdict(set)
        self.raw: set[web.WebSocketResponse] = set()
        self.sockets: set[web.WebSocketResponse] = set()
        self.users: set[web.WebSocketResponse] = set()
        self.silent = False
        self.sent: Counter[str] = Counter()
        self.log: list[str] = []
        self._held: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling: set[asyncio.Task[None]] = set()

    # Out ----------------------------------------------------------------------------------------------------------

    async def publish(self, kind: str, stream: str, data: dict[str, Any]) -> None:
        """A market message to those who listen to its stream."""
        listeners = self.market.get(stream)
        if not listeners:
            return
        bare = json.dumps(data, separators=(",", ":"))
        text = f'{{"stream":"{stream}","data":{bare}}}'
        for socket in list(listeners):
            await self._pass(kind, bare if socket in self.raw else text, [socket])

    def tell_user(self, kind: str, text: str) -> None:
        """A message of the user stream, in the order in which it is told."""
        task = asyncio.get_running_loop().create_task(self._pass(kind, text, list(self.users)))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def flushed(self) -> None:
        """Until what was told is on its way, but for what a fault makes late."""
        while telling := [task for task in self._telling if not task.done()]:
            await asyncio.wait(telling)

    async def _pass(self, kind: str, text: str, sockets: Iterable[web.WebSocketResponse]) -> None:
        rule = self.faults.take(kind, text)
        do = rule.do if rule is not None else ""
        if self.silent or do == "drop":
            return
        if do == "reverse":
            self._held[kind] = text
            return
        if rule is not None and do == "late":
            task = asyncio.get_running_loop().create_task(self._later(kind, text, sockets, rule.delay or 1.0))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        texts = [text] * (2 if do == "dup" else 1)
        if kind in self._held:
            texts.append(self._held.pop(kind))
        for socket in sockets:
            for one in texts:
                await self._send(kind, socket, one)

    async def _later(self, kind: str, text: str, sockets: Iterable[web.WebSocketResponse], delay: float) -> None:
        await asyncio.sleep(delay)
        for socket in sockets:
            await self._send(kind, socket, text)

    async def _send(self, kind: str, socket: web.WebSocketResponse, text: str) -> None:
        try:
            await socket.send_str(text)
            self.sent[kind] += 1
        except (ConnectionError, RuntimeError):  # it hung up
            self.forget(socket)

    # In -----------------------------------------------------------------------------------------------------------

    async def serve(self, request: web.Request, keys: set[str]) -> web.StreamResponse:
        """One socket, until it closes."""
        socket = web.WebSocketResponse(heartbeat=180.0)
        await socket.prepare(request)
        key = request.query.get("listenKey")
        if key is None and request.path.startswith("/ws/") and request.path[4:] in keys:
            key = request.path[4:]
        if key is not None and key not in keys:
            await socket.close()
            return socket
        self.sockets.add(socket)
        if key is not None:
            self.users.add(socket)
        else:
            if request.path.startswith("/ws"):
                self.raw.add(socket)
            self._listen(socket, filter(None, request.query.get("streams", "").split("/")))
        self.log.append(f"{'user' if key is not None else 'market'} socket opened")
        try:
            await self._read(socket)
        finally:
            self.forget(socket)
        return socket

    async def _read(self, socket: web.WebSocketResponse) -> None:
        times: deque[float] = deque()
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                continue
            now = time.monotonic()
            times.append(now)
            while times[0] < now - 1.0:
                times.popleft()
            if len(times) > MOST_A_SECOND:
                self.log.append("socket cut: too many messages")
                await socket.close(code=1008, message=b"Too many requests")
                return
            await self._obey(socket, message.data)

    async def _obey(self, socket: web.WebSocketResponse, text: str) -> None:
        try:
            asked = json.loads(text)
            method, names = asked["method"], asked.get("params") or []
        except (ValueError, KeyError, TypeError):
            await socket.send_str('{"error":{"code":3,"msg":"Invalid JSON"}}')
            return
        if method == "SUBSCRIBE":
            self._listen(socket, names)
        elif method == "UNSUBSCRIBE":
            for name in names:
                self.market[name].discard(socket)
        await socket.send_str(json.dumps({"result": None, "id": asked.get("id")}))

    def _listen(self, socket: web.WebSocketResponse, names: Iterable[str]) -> None:
        for name in names:
            self.market[name].add(socket)

    def forget(self, socket: web.WebSocketResponse) -> None:
        """A socket that is gone."""
        self.sockets.discard(socket)
        self.users.discard(socket)
        self.raw.discard(socket)
        for listeners in self.market.values():
            listeners.discard(socket)

    async def cut(self, *, users: bool, hard: bool = False) -> int:
        """Close the user's sockets or the market's; ``hard`` without a word. How many there were."""
        sockets = [s for s in self.sockets if (s in self.users) == users]
        for socket in sockets:
            self.forget(socket)
            transport = getattr(getattr(socket, "_req", None), "transport", None)
            if hard and transport is not None:
                transport.abort()
            else:
                await socket.close()
        return len(sockets)

    def stop(self) -> None:
        """Send nothing any more."""
        for task in (*self._tasks, *self._telling):
            task.cancel()
