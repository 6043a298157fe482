"""Who may ask: this machine by its own name, a browser that was given the token, and for writes a page of ours.

A page of another site can send requests to 127.0.0.1 from the browser that is open here. It does not know the token,
its requests carry no ``SameSite=Strict`` cookie, under a name of its own (DNS rebinding) the ``Host`` is wrong, and a
write needs a value that stands in our pages alone.
"""

from __future__ import annotations

import hmac
import secrets
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

#: Where the address that the command prints leads.
ENTRY = "/enter"
#: What a form's hidden field and a script's header are called.
CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"
#: Nothing inline, nothing from elsewhere, in no frame of others.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: Of whole pages of ``report``: their scripts are inside, so they run in an origin of their own that is nobody's.
FRAMED = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none at all, a browser names no origin in our own forms either
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Keys:
    """Secrets of one run of the app: for the address, the cookie and writes; gone when it ends."""

    token: str = field(default_factory=_secret, repr=False)
    session: str = field(default_factory=_secret, repr=False)
    csrf: str = field(default_factory=_secret, repr=False)

    def entry(self, port: int) -> str:
        """The address to open."""
        return f"http://127.0.0.1:{port}{ENTRY}?token={self.token}"


def cookie_of(port: int) -> str:
    """Its name; cookies know no ports, so that two apps would overwrite each other's."""
    return f"dolphin_ui_{port}"


def guarding(keys: Keys) -> Middleware:
    """The middleware that lets in who has the token."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        port = _port(request)
        if request.headers.get("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
            return refusal("this app answers under 127.0.0.1 and localhost alone", 421)
        if request.path == ENTRY:
            return _enter(request, keys, port)
        if not _same(request.cookies.get(cookie_of(port)), keys.session):
            return refusal("open the address that 'dolphin ui' printed: it holds the token", 403)
        if request.method not in ("GET", "HEAD") and not await _ours(request, keys):
            return refusal("a write needs a page of this app: reload the page and try again", 403)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return refusal(f"{error.reason}: {request.path}", error.status)
        except Exception as error:  # a page that cannot be made takes none of the others with it
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(frame.filename).name}:{frame.lineno}"
            return refusal(f"could not be made: {type(error).__name__}: {' '.join(str(error).split())} ({place})", 500)

    return guard


def _enter(request: web.Request, keys: Keys, port: int) -> web.Response:
    """Turn the token of the address into a cookie; the page that says so goes on by itself.

    A redirect would not do: the browser sends no strict cookie along with one that a foreign page began.
    """
    if request.method != "GET" or not _same(request.query.get("token"), keys.token):
        return refusal("this token is not of this run of 'dolphin ui': open the address that it printed last", 403)
    page = (
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">'
        '<link rel="icon" href="data:,"><title>DOLPHIN</title><p><a href="/">DOLPHIN</a></p></html>'
    )
    response = web.Response(text=page, content_type="text/html")
    response.set_cookie(cookie_of(port), keys.session, httponly=True, samesite="Strict", path="/")
    return response


async def _ours(request: web.Request, keys: Keys) -> bool:
    """Whether a write comes from a page of ours."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.headers["Host"]:
        return False
    if CSRF_HEADER in request.headers:
        return _same(request.headers[CSRF_HEADER], keys.csrf)
    value = (await request.post()).get(CSRF_FIELD)
    return isinstance(value, str) and _same(value, keys.csrf)


def refusal(words: str, status: int) -> web.Response:
    """A line of text."""
    return web.Response(text=f"{words}\n", status=status)


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """On every answer; a framed page brings its own policy."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if "Server" in response.headers:
        del response.headers["Server"]


def _port(request: web.Request) -> int:
    transport = request.transport
    assert transport is not None
    return int(transport.get_extra_info("sockname")[1])


def _same(given: str | None, secret: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), secret.encode())
