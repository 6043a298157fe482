"""``dolphin ui``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dolphin.cli.common import note, say

if TYPE_CHECKING:
    from dolphin.workspace import Workspace


def ui(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 8421,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """A local app over the workspace: runs, studies, verdicts, champions, sessions; walk a run bar by bar."""
    import asyncio

    from dolphin import workspace

    asyncio.run(_serve(workspace.find(), port, browser=not no_browser))
    raise typer.Exit(130)


async def _serve(home: Workspace, port: int, *, browser: bool) -> None:
    """Serve until SIGINT or SIGTERM."""
    import asyncio
    import signal

    from dolphin.ui import serving
    from dolphin.ui.guard import Keys

    ended, keys = asyncio.Event(), Keys()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with serving(home, keys, port) as bound:
        address = keys.entry(bound)
        say(address)
        if browser:
            await asyncio.to_thread(_open, address)
        await ended.wait()


def _open(address: str) -> None:
    """Open the browser that people look at; a text browser would take over the terminal."""
    import os
    import sys
    import webbrowser

    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        note("no display here: open the address in a browser of this machine (or through a tunnel of its port)")
        return
    webbrowser.open(address)
