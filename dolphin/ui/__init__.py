"""``dolphin ui``: a local app over the workspace, for one person on one machine.

Pages are made on the server from what the other rooms wrote, with the same code that the commands use; the browser
gets HTML, two small scripts and numbers in windows. It listens on 127.0.0.1 alone and asks for a token
(:mod:`dolphin.ui.guard`). Whole pages of ``report`` stand in a frame that can read nothing of the app.
"""

from __future__ import annotations

from dolphin.ui.server import application, serving

__all__ = ["application", "serving"]
