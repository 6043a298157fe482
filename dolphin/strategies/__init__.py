"""Strategies and features by name: the bundled ones, and ``module:attribute`` of a workspace's ``research/``."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from dolphin.core.declaration import Source
from dolphin.core.strategy import Strategy
from dolphin.errors import DolphinError, nearest
from dolphin.features import Feature

__all__ = ["BUNDLED", "DEFAULT", "load", "load_feature", "presets"]

#: Name -> (module, attribute). Adding a strategy is a file and a line here.
BUNDLED = {
    "breakout": ("dolphin.strategies.breakout", "BREAKOUT"),
    "cross_momentum": ("dolphin.strategies.cross_momentum", "CROSS_MOMENTUM"),
    "pair_reversion": ("dolphin.strategies.pair_reversion", "PAIR_REVERSION"),
    "vel_div": ("dolphin.strategies.vel_div", "VEL_DIV"),
    "vel_div_sleeves": ("dolphin.strategies.vel_div_sleeves", "VEL_DIV_SLEEVES"),
}

#: The strategy of a config that names none.
DEFAULT = "vel_div"


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
            mend = f"name its strategy: {name}:ATTRIBUTE" if _is_module(name, research) else nearest(name, BUNDLED)
            raise DolphinError(f"unknown strategy '{name}'", mend=mend)
        module_name, attribute = BUNDLED[name]
        found: Strategy = getattr(importlib.import_module(module_name), attribute)
        return found
    own: Strategy = _own(name, research, Strategy)
    if not any(isinstance(source, str) and ":" in source for source in own.features_by_role().values()):
        return own
    try:
        return _with_features(own, research)
    except TypeError as error:
        raise DolphinError(str(error), where=name) from None


def _is_module(name: str, research: Path | None) -> bool:
    return research is not None and name.isidentifier() and (research / f"{name}.py").is_file()


@functools.lru_cache(maxsize=64)
def _with_features(own: Strategy, research: Path | None) -> Strategy:
    """The strategy with the features that it names in place of their names; of one strategy, always the same one."""

    def found(source: Source) -> Source:
        return load_feature(source, research) if isinstance(source, str) and ":" in source else source

    declared = own.features
    if not callable(declared):
        return replace(own, features=tuple(found(source) for source in declared))

    @functools.wraps(declared)
    def features(params: Any) -> dict[str, Source]:
        return {role: found(source) for role, source in declared(params).items()}

    return replace(own, features=features)


def load_feature(name: str, research: Path | None = None) -> Feature:
    """The plug-in feature ``module:attribute`` of ``research``.

    Raises
    ------
    DolphinError
        If there is none of that name, or its file does not define it.
    """
    found: Feature = _own(name, research, Feature)
    return found


def _own(name: str, research: Path | None, kind: type) -> Any:
    """The object ``module:attribute`` of the workspace's own."""
    module_name, _, attribute = name.partition(":")
    what = kind.__name__.lower()
    if research is None or ":" not in name or not module_name.isidentifier():
        raise DolphinError(
            f"{what} '{name}' needs a module of the workspace's research folder", mend="name it as module:attribute"
        )
    file = research / f"{module_name}.py"
    if not file.is_file():
        known = [path.stem for path in research.glob("*.py")]
        raise DolphinError(f"no such {what} module", where=str(file), mend=nearest(module_name, known))
    module = _import_file(file)
    own = getattr(module, attribute, None)
    if not isinstance(own, kind):
        known = [key for key, value in vars(module).items() if isinstance(value, kind)]
        raise DolphinError(
            f"defines no {kind.__name__} named '{attribute}'",
            where=str(file),
            mend=nearest(attribute, known) if known else None,
        )
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
        own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        line = error.lineno if isinstance(error, SyntaxError) else own[-1] if own else None
        where = f"{file}:{line}" if line else str(file)
        raise DolphinError(f"does not import: {type(error).__name__}: {error}", where=where) from error
    return module
