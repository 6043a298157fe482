"""Pages that people read: one HTML file each, no network.

A tear sheet shows one run folder, a gate page one promotion-gate report, a quality page what is missing
or odd in a dataset. This room reads
what the other rooms wrote and imports none of them.
"""

from __future__ import annotations

from dolphin.report.gate_page import gate_page
from dolphin.report.quality_page import quality_page, write_quality_page
from dolphin.report.sheet import tear_sheet, write_tear_sheet

__all__ = ["gate_page", "quality_page", "tear_sheet", "write_quality_page", "write_tear_sheet"]
