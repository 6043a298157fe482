"""The app: its routes, and serving it on a loopback port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from aiohttp import web

from dolphin.errors import DolphinError, NotFound
from dolphin.files import json_value
from dolphin.ui import (
    actions,
    champions_page,
    compare_page,
    datasets_page,
    explorer_page,
    framed,
    overview_page,
    run_page,
    runs_page,
    sessions_page,
    studies_page,
    verdicts_page,
)
from dolphin.ui.asked import Asked
from dolphin.ui.explorer import Explorer
from dolphin.ui.guard import FRAMED, Keys, add_headers, guarding
from dolphin.ui.shell import shell
from dolphin.workspace import Workspace

#: What the browser may have, by name: the room that it is of, and its type.
ASSETS = {
    "page.css": ("dolphin.report", "text/css"),
    "tables.js": ("dolphin.report", "text/javascript"),
    "copy.js": ("dolphin.report", "text/javascript"),
    "ui.css": ("dolphin.ui", "text/css"),
    "ui.js": ("dolphin.ui", "text/javascript"),
    "explorer.js": ("dolphin.ui", "text/javascript"),
    "chart.js": ("dolphin.ui", "text/javascript"),
}

#: Pages by their address: what is made, and which entry of the navigation it belongs to.
PAGES: dict[str, tuple[Callable[[Asked], tuple[str, str]], str]] = {
    "/": (overview_page.overview, "/"),
    "/datasets": (datasets_page.datasets, "/datasets"),
    "/datasets/{name}": (datasets_page.dataset, "/datasets"),
    "/runs": (runs_page.runs, "/runs"),
    "/compare": (compare_page.compare, "/runs"),
    "/run/{name:.+}": (run_page.run, "/runs"),
    "/explore/{name:.+}": (explorer_page.explore, "/runs"),
    "/studies": (studies_page.studies, "/studies"),
    "/study/{name}": (studies_page.study, "/studies"),
    "/verdicts": (verdicts_page.verdicts, "/verdicts"),
    "/verdict/{name:.+}": (verdicts_page.verdict, "/verdicts"),
    "/champions": (champions_page.champions, "/champions"),
    "/sessions": (sessions_page.sessions, "/sessions"),
    "/session/{name}": (sessions_page.session, "/sessions"),
}
#: Whole pages of ``report``, for a frame.
FRAMES: dict[str, Callable[[Asked], str]] = {
    "/frame/run/{name:.+}": framed.run,
    "/frame/study/{name}": framed.study,
    "/frame/quality/{name}": framed.quality,
    "/frame/verdict/{name:.+}": framed.verdict,
}
#: Writes: what is done, and where the browser goes then.
ACTIONS: dict[str, Callable[[Asked], str]] = {
    "/remove/{name:.+}": actions.remove,
    "/session/{name}/halt": actions.halt,
    "/session/{name}/resume": actions.resume,
}

#: Bytes of a form.
LARGEST_FORM = 1 << 18


def application(workspace: Workspace, keys: Keys) -> web.Application:
    """The app over a workspace."""
    app = web.Application(middlewares=[guarding(keys)], client_max_size=LARGEST_FORM)
    app.on_response_prepare.append(add_headers)
    explorer = Explorer(workspace)

    async def close(_: web.Application) -> None:
        await asyncio.to_thread(explorer.close)

    app.on_cleanup.append(close)

    def asked(request: web.Request, form: Any = None) -> Asked:
        return Asked(workspace, dict(request.match_info), request.query, keys.csrf, explorer, form)

    def of(handle: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        return told(handle, workspace, keys)

    for path, (make, place) in PAGES.items():
        app.router.add_get(path, of(_page(make, place, asked)))
    for path, whole in FRAMES.items():
        app.router.add_get(path, _frame(whole, asked))
    for path, act in ACTIONS.items():
        app.router.add_post(path, of(_action(act, asked)))
    for path, answer in explorer_page.DATA.items():
        app.router.add_get(path, _data(answer, asked))
    app.router.add_get("/assets/{name}", _asset)
    return app


def told(handle: Callable[[web.Request], Any], workspace: Workspace, keys: Keys) -> Callable[[web.Request], Any]:
    """The handler, with a mistake told as a page of one line."""

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handle(request)
            return response
        except DolphinError as error:
            words = shell(workspace, "Not here", f'<p class="notice bad">{_text(str(error))}</p>', "", keys.csrf)
            return web.Response(text=words, content_type="text/html", status=_status(error))

    return handler


def _text(words: str) -> str:
    from dolphin.report.markup import text

    return text(words)


def _status(error: DolphinError) -> int:
    return 404 if isinstance(error, NotFound) else 400


def _page(make: Callable[[Asked], tuple[str, str]], place: str, asked: Callable[..., Asked]) -> Any:
    async def handler(request: web.Request) -> web.Response:
        ask = asked(request)
        title, body = await asyncio.to_thread(make, ask)
        return web.Response(text=shell(ask.workspace, title, body, place, ask.csrf), content_type="text/html")

    return handler


def _frame(make: Callable[[Asked], str], asked: Callable[..., Asked]) -> Any:
    async def handler(request: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": FRAMED, "X-Frame-Options": "SAMEORIGIN"}
        try:
            page = await asyncio.to_thread(make, asked(request))
        except DolphinError as error:  # a page of the app would be refused in a frame
            return web.Response(text=f"{error}\n", status=_status(error), headers=headers)
        return web.Response(text=page, content_type="text/html", headers=headers)

    return handler


def _action(act: Callable[[Asked], str], asked: Callable[..., Asked]) -> Any:
    async def handler(request: web.Request) -> web.Response:
        form = await request.post()
        place = await asyncio.to_thread(act, asked(request, form))
        return web.Response(status=303, headers={"Location": place})

    return handler


def _data(answer: Callable[[Asked], Any], asked: Callable[..., Asked]) -> Any:
    async def handler(request: web.Request) -> web.Response:
        try:
            document = await asyncio.to_thread(answer, asked(request))
        except DolphinError as error:
            return web.json_response({"error": str(error)}, status=_status(error))
        text = json.dumps(json_value(document), separators=(",", ":"), allow_nan=False)
        response = web.json_response(text=text)
        response.enable_compression()
        return response

    return handler


async def _asset(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in ASSETS:
        return web.Response(text="no such file\n", status=404)
    room, kind = ASSETS[name]
    place = files(room) / "assets" if room == "dolphin.ui" else files(room)
    body = (place / name).read_text(encoding="utf-8")
    return web.Response(text=body, content_type=kind)


@asynccontextmanager
async def serving(workspace: Workspace, keys: Keys, port: int) -> AsyncIterator[int]:
    """Serve on 127.0.0.1 while the block runs; yields the port, which is a free one where ``port`` is 0.

    Raises
    ------
    DolphinError
        If the port is taken.
    """
    runner = web.AppRunner(application(workspace, keys), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            raise DolphinError(
                f"cannot listen: {error.strerror or error}", where=f"127.0.0.1:{port}", mend="choose another --port"
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
