"""Strategies by name: the bundled ones, and ``module:attribute`` of a workspace's ``research/``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from dolphin.core.strategy import Strategy
from dolphin.errors import DolphinError, nearest

__all__ = ["BUNDLED", "load", "presets"]

#: Name -> (module, attribute). Adding a strategy is a file and a line here.
BUNDLED = {
    "vel_div": ("dolphin.strategies.vel_div", "VEL_DIV"),
    "vel_div_sleeves": ("dolphin.strategies.vel_div_sleeves", "VEL_DIV_SLEEVES"),
}


def load(name: str, research: Path | None = None) -> Strategy:
    """The strategy of this name.

    Parameters
    ----------
    name : str
        A bundled name, or ``module:attribute`` with ``module.py`` in ``research``.
    research : Path, optional
        The workspace's ``research`` folder.

    Raises
    ------
    DolphinError
        If there is none of that name, or its file does not define it.
    """
    if ":" not in name:
        if name not in BUNDLED:
            raise DolphinError(f"unknown strategy '{name}'", mend=nearest(name, BUNDLED))
        module_name, attribute = BUNDLED[name]
        found: Strategy = getattr(importlib.import_module(module_name), attribute)
        return found
    module_name, _, attribute = name.partition(":")
    if research is None or not module_name.isidentifier():
        raise DolphinError(f"strategy '{name}' needs a module of the workspace's research folder")
    file = research / f"{module_name}.py"
    if not file.is_file():
        known = [path.stem for path in research.glob("*.py")]
        raise DolphinError("no such strategy module", where=str(file), mend=nearest(module_name, known))
    own = getattr(_import_file(file), attribute, None)
    if not isinstance(own, Strategy):
        raise DolphinError(f"defines no Strategy named '{attribute}'", where=str(file))
    return own


def presets(strategy: Strategy) -> dict[str, dict[str, object]]:
    """The named parameter sets that a strategy's module offers as ``PRESETS``."""
    module = sys.modules[strategy.decide.__module__]
    found: dict[str, dict[str, object]] = getattr(module, "PRESETS", {})
    return found


def _import_file(file: Path):  # type: ignore[no-untyped-def]
    name = f"research_{file.stem}"
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__file__ == str(file):
        return loaded
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise DolphinError(f"does not import: {type(error).__name__}: {error}", where=str(file)) from error
    return module
