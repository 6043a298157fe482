"""Pages that people read: one HTML file each, no network.

A tear sheet shows one run folder; a gate page shows one promotion-gate report. This room reads
what the other rooms wrote and imports none of them.
"""

from __future__ import annotations

from dolphin.report.gate_page import gate_page
from dolphin.report.sheet import tear_sheet, write_tear_sheet

__all__ = ["gate_page", "tear_sheet", "write_tear_sheet"]
