"""Who is to catch a fault: each detector runs a rung, a check or a proof on something small, and says what it saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """What a detector saw: the first stage and bar (where it has one) that are wrong, and in words."""

    stage: str
    bar: int | None
    sentence: str


Detector = Callable[[], Finding | None]


def found(outcome: tuple[bool, str, dict[str, Any]], stage: str = "books") -> Finding | None:
    """A rung's outcome; ``stage`` where it names none: what an outside book keeps."""
    passed, detail, facts = outcome
    return None if passed else Finding(facts.get("first_stage", stage), facts.get("first_bar"), detail)


def core_agrees() -> Finding | None:
    """Rung 0 of vel_div: per-bar calls, the batch loop, a sweep by events and one without."""
    from dolphin.parity.rungs_core import core_rung
    from dolphin.selftest.markets import case_of

    return found(core_rung(case_of()), "sweep")


def plain_agrees() -> Finding | None:
    """Rung R of vel_div: the strategy written twice, the slow book."""
    return _plain("close")


def plain_agrees_next() -> Finding | None:
    """The same where orders fill at the next bar."""
    return _plain("next")


def plain_agrees_short() -> Finding | None:
    """The same with little capital under heavy leverage: liquidations."""
    far = {"stop_pct": 0.0, "tp_pct": 0.5, "max_hold_bars": 60}
    return _plain("close", base_leverage=60.0, soft_cap=125.0, abs_cap=125.0, **far)


def _plain(timing: str, **params: Any) -> Finding | None:
    from dolphin.parity.rung_plain import plain_rung
    from dolphin.selftest.markets import case_of

    return found(plain_rung(case_of(fill_timing=timing, **params)))


def orders_agree() -> Finding | None:
    """Rung R of a strategy that sends every kind of order: limits, stops, brackets, changes of size, margin."""
    from dolphin.selftest.orders import first_finding

    return first_finding("bar_range")


def parts_agree() -> Finding | None:
    """The same where orders fill in parts."""
    from dolphin.selftest.orders import first_finding

    return first_finding("volume_share")


def vectorbt_agrees() -> Finding | None:
    """Rung 1 of vel_div's two sleeves."""
    from dolphin.parity.rungs_vectorbt import vectorbt_rung
    from dolphin.selftest.markets import VEL_DIV_SLEEVES, case_of

    return found(vectorbt_rung(case_of(VEL_DIV_SLEEVES)))


def _nautilus(feed: Any) -> Finding | None:
    from dolphin.parity.rungs_nautilus import nautilus_rung
    from dolphin.selftest.markets import VEL_DIV_SLEEVES, case_of

    return found(nautilus_rung(case_of(VEL_DIV_SLEEVES), feed))


def nautilus_agrees() -> Finding | None:
    """Rung 2 of vel_div's two sleeves, prices in scans."""
    return _nautilus("scan")


def bars_agree() -> Finding | None:
    """Rung 2, prices by bars."""
    return _nautilus("bars")


def quotes_agree() -> Finding | None:
    """Rung 2, prices by quotes."""
    return _nautilus("quotes")


def _lazy(module: str, name: str) -> Detector:
    def run() -> Finding | None:
        from importlib import import_module

        result: Finding | None = getattr(import_module(f"dolphin.selftest.{module}"), name)()
        return result

    run.__doc__ = name
    run.module = module  # type: ignore[attr-defined]
    return run


#: By name, cheapest first; the name is what the table says.
DETECTORS: dict[str, Detector] = {
    "digest coverage": _lazy("coverage", "digest_covers"),
    "ranking memory": _lazy("ranking", "answers_are_ones_own"),
    "features": _lazy("scanning", "features_agree"),
    "features: streaming": _lazy("scanning", "streaming_agrees"),
    "features: history": _lazy("scanning", "history_suffices"),
    "market columns": _lazy("stored", "columns_agree"),
    "certify": _lazy("stored", "eigenvalues_proved"),
    "append-only": _lazy("stored", "nothing_rewritten"),
    "append-only, planted": _lazy("stored", "rewriting_is_seen"),
    "look-ahead": _lazy("stored", "nobody_peeks"),
    "look-ahead, planted": _lazy("stored", "peeking_is_seen"),
    "warm-up": _lazy("stored", "warm_up_suffices"),
    "rung R": plain_agrees,
    "rung R, next": plain_agrees_next,
    "rung R, leverage": plain_agrees_short,
    "rung R, orders": orders_agree,
    "rung R, parts": parts_agree,
    "rung R, drawdown": _lazy("drawdowns", "plain_agrees"),
    "rung 0": core_agrees,
    "rung 0, drawdown": _lazy("drawdowns", "core_agrees"),
    "rung 1": vectorbt_agrees,
    "rung 2": nautilus_agrees,
    "rung 2, drawdown": _lazy("drawdowns", "nautilus_agrees"),
    "rung 2, bars": bars_agree,
    "rung 2, quotes": quotes_agree,
    "rung 2, parts": _lazy("parts", "parts_agree_in_nautilus"),
    "rung 3, parts": _lazy("parts", "parts_agree_in_node"),
    "rung 2b": _lazy("parts", "chunks_are_one_run"),
    "inputs, planted": _lazy("parts", "memory_is_seen"),
    "rung 4": _lazy("journals", "replay_agrees"),
    "rung 4, rejects": _lazy("journals", "rejects_replayed"),
    "journal: order of writing": _lazy("journals", "decided_before_written"),
    "journal: torn end": _lazy("journals", "torn_end_is_cut"),
    "journal: duplicates": _lazy("journals", "duplicates_count_once"),
    "journal: damage": _lazy("journals", "damage_is_named"),
    "stale cache": _lazy("caches", "edits_are_compiled"),
    "engine digest": _lazy("caches", "edits_change_the_digest"),
}
