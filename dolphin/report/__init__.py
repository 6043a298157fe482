"""Pages that people read: one HTML file each, no network.

A tear sheet shows one run folder, a gate page one promotion-gate report, a quality page what is missing
or odd in a dataset, a study page what a study tried and how much of its result to believe, a stress page one
configuration under worse circumstances, a parity page where two runs part. This room reads what the other
rooms wrote and imports none of them.
"""

from __future__ import annotations

from dolphin.report.gate_page import gate_page
from dolphin.report.parity_page import parity_page, write_parity_page
from dolphin.report.quality_page import quality_page, write_quality_page
from dolphin.report.sheet import tear_sheet, write_tear_sheet
from dolphin.report.stress_page import stress_page, write_stress_page
from dolphin.report.study_page import study_page, write_study_page

__all__ = [
    "gate_page",
    "parity_page",
    "quality_page",
    "stress_page",
    "study_page",
    "tear_sheet",
    "write_parity_page",
    "write_quality_page",
    "write_stress_page",
    "write_study_page",
    "write_tear_sheet",
]
