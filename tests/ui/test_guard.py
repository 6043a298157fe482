"""Who is let in, and what every answer carries."""

from __future__ import annotations

import asyncio
import re

import pytest

from dolphin.errors import DolphinError
from dolphin.trade.control import read_audit
from dolphin.trade.folder import find_state
from dolphin.ui import serving
from dolphin.ui.guard import CSRF_HEADER, ENTRY, Keys, cookie_of

HALT = "/session/blue/halt"


def test_without_the_token_nobody_sees_anything(visit) -> None:
    async def strange(app) -> None:
        for path in ("/", "/runs", "/data/about/deep/busy", "/assets/ui.js", "/nothing", f"{ENTRY}?token=wrong", ENTRY):
            answer, text = await app.get(path)
            assert answer.status == 403 and "dolphin" in text and "<" not in text, path
            assert not answer.cookies
        answer, _ = await app.post(HALT, {"reason": "x", "csrf": app.keys.csrf})
        assert answer.status == 403
        answer, _ = await app.get("/", headers={"Cookie": f"{cookie_of(app.port)}={app.keys.token}"})
        assert answer.status == 403  # the token is no cookie
        async with app.client.get(app.keys.entry(app.port)) as entered:
            cookie = entered.headers["Set-Cookie"]
            assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and app.keys.token not in cookie
            assert app.keys.token not in await entered.text()
        assert (await app.get("/"))[0].status == 200

    visit(strange, enter=False)


def test_another_name_of_this_machine_is_refused(visit) -> None:
    async def rebound(app) -> None:
        names = ("evil.example", f"evil.example:{app.port}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1.x.io:{app.port}")
        for host in names:
            for path in ("/", f"{ENTRY}?token={app.keys.token}"):
                answer, _ = await app.get(path, headers={"Host": host})
                assert answer.status == 421, host
        answer, _ = await app.get("/", headers={"Host": f"localhost:{app.port}"})
        assert answer.status == 200

    visit(rebound)


def test_every_answer_is_strict(visit) -> None:
    async def look(app) -> None:
        for path in ("/", "/runs", "/run/nope", "/nothing", "/assets/page.css", "/data/about/deep/busy"):
            answer, _ = await app.get(path)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert "Server" not in answer.headers
        answer, page = await app.get("/frame/run/deep/busy")
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("sandbox allow-scripts; default-src 'none'") and "frame-ancestors 'self'" in policy
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN" and "connect-src" not in policy
        assert app.keys.csrf not in page

    visit(look)


def test_a_write_needs_a_page_of_ours(visit, home) -> None:
    folder = find_state(home.root / "runs" / "trade" / "blue")

    async def write(app) -> None:
        for form, headers in (
            ({"reason": "x"}, {}),
            ({"reason": "x", "csrf": "wrong"}, {}),
            ({"reason": "x"}, {CSRF_HEADER: "wrong"}),
            ({"reason": "x", "csrf": app.keys.csrf}, {"Origin": "http://evil.example"}),
            ({"reason": "x", "csrf": app.keys.csrf}, {"Origin": "null"}),
        ):
            answer, text = await app.post(HALT, form, headers=headers)
            assert answer.status == 403 and "reload" in text
        assert (await app.get(HALT))[0].status == 405
        assert not folder.control.exists() and read_audit(folder) == []
        answer, text = await app.post(HALT, {"reason": " ", "csrf": app.keys.csrf})
        assert answer.status == 400 and "a reason is mandatory" in text
        own = {"Origin": app.base}
        answer, _ = await app.post(HALT, {"reason": "lunch", "flatten": "yes", "csrf": app.keys.csrf}, headers=own)
        assert answer.status == 303 and answer.headers["Location"] == "/session/blue"
        answer, _ = await app.post("/session/blue/resume", {"reason": "back"}, headers={CSRF_HEADER: app.keys.csrf})
        assert answer.status == 303
        _, page = await app.get("/session/blue")
        assert "2 lines, chain verified" in page and "lunch" in page
        assert re.search(rf'name="csrf" (value|content)="{app.keys.csrf}"', page)

    visit(write)
    lines = read_audit(folder)
    assert [(line["action"], line["reason"], line["flatten"]) for line in lines] == [
        ("halt", "lunch", True), ("resume", "back", False),
    ]  # fmt: skip


def test_a_run_is_deleted_as_the_command_does_it(visit, home) -> None:
    run = home.root / "runs" / "slow"

    async def remove(app) -> None:
        (run / "mine.txt").write_text("notes")
        answer, text = await app.post("/remove/slow", {"csrf": app.keys.csrf})
        assert answer.status == 400 and "mine.txt" in text and run.is_dir()
        (run / "mine.txt").unlink()
        for name in ("", "..", "../data_catalog", "%2e%2e/data_catalog", "trade/blue"):
            answer, _ = await app.post(f"/remove/{name}", {"csrf": app.keys.csrf})
            assert answer.status in (404, 405)
        answer, _ = await app.post("/remove/slow", {"csrf": app.keys.csrf})
        assert answer.status == 303 and not run.exists()
        assert "deep/busy" in (await app.get("/runs"))[1]

    visit(remove)
    assert (home.root / "data_catalog" / "m.json").is_file()


def test_a_taken_port_is_one_line(home) -> None:
    async def twice() -> None:
        async with serving(home, Keys(), 0) as port:
            with pytest.raises(DolphinError, match="--port"):
                async with serving(home, Keys(), port):
                    pass

    asyncio.run(twice())


def test_secrets_are_in_no_repr() -> None:
    keys = Keys()
    assert keys.token not in repr(keys) and keys.csrf not in repr(keys) and Keys().token != keys.token
