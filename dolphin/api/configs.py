"""Configurations from keywords, files and names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dolphin.config import Config as Resolved
from dolphin.config import parse_config, read_config
from dolphin.core.strategy import Strategy
from dolphin.errors import BadInput, DolphinError
from dolphin.strategies import load
from dolphin.times import parse_time
from dolphin.workspace import Workspace
from dolphin.workspace import find as find_workspace


class _OfAnyKind(type):
    """A configuration is one wherever it was made."""

    def __instancecheck__(cls, thing: object) -> bool:
        return isinstance(thing, Resolved)


class Config(metaclass=_OfAnyKind):
    """A run's configuration from keywords: a strategy, what differs from its defaults, friction and account.

    Parameters
    ----------
    strategy : str or Strategy
        A bundled name, ``"module:ATTRIBUTE"`` of the workspace's ``research/``, or the object itself.
    preset : str, optional
        Of the strategy's.
    workspace : Workspace, optional
        By default the one that the command line would find.
    **values
        By the names that a config file has: ``short_threshold=-0.03``, ``fee_bps=3``, ``initial_capital=10_000``.

    Raises
    ------
    DolphinError
        On an unknown name (the nearest is suggested), a wrong type, a value out of range.

    Examples
    --------
    >>> import dolphin as dp
    >>> config = dp.Config("vel_div", short_threshold=-0.03, fee_bps=3)
    >>> config.params.short_threshold, config.friction.fee_bps
    (-0.03, 3.0)
    >>> dp.Config("vel_div", short_treshold=-0.03)
    Traceback (most recent call last):
    ...
    dolphin.errors.BadInput: Config: unknown key 'short_treshold'; did you mean 'short_threshold'?
    """

    def __new__(  # type: ignore[misc]
        cls,
        strategy: str | Strategy = "vel_div",
        *,
        preset: str | None = None,
        workspace: Workspace | None = None,
        **values: Any,
    ) -> Resolved:
        return configured(strategy, preset, values, workspace)


def configured(
    strategy: str | Strategy, preset: str | None, values: Mapping[str, Any], workspace: Workspace | None
) -> Resolved:
    """A configuration of a strategy with these values over its defaults."""
    name = strategy if isinstance(strategy, str) else name_of(strategy, workspace)
    research = (workspace or find_workspace()).research if ":" in name else None
    table = {"strategy": name} | ({"preset": preset} if preset else {})
    try:
        return parse_config(table, where="Config", overrides=values, research=research)
    except BadInput as error:
        if error.where == "--set":
            raise BadInput(error.what, where="Config", mend=error.mend) from None
        raise


def name_of(strategy: Strategy, workspace: Workspace | None) -> str:
    """``module:ATTRIBUTE`` of a strategy object whose module lies in ``research/``: other processes find it there.

    Raises
    ------
    DolphinError
        If it lies elsewhere.
    """
    research = (workspace or find_workspace()).research
    for module in sorted(research.glob("*.py")):
        if module.resolve() != strategy.source.resolve():
            continue
        lines = [line for line in module.read_text().splitlines() if "= Strategy(" in line]
        for attribute in (line.split("=")[0].strip() for line in lines):
            if load(f"{module.stem}:{attribute}", research).digest == strategy.digest:
                return f"{module.stem}:{attribute}"
    mend = f"write it into a module of {research}, where other processes find it"
    raise DolphinError(f"strategy '{strategy.name}' is of no module in research", mend=mend)


def as_config(config: Any, workspace: Workspace) -> Resolved:
    """A configuration from what people have: one, a file, a strategy's name, or a strategy.

    Raises
    ------
    DolphinError
        If it is none of these.
    """
    if isinstance(config, Resolved):
        return config
    if isinstance(config, Strategy):
        return configured(config, None, {}, workspace)
    if isinstance(config, Mapping):
        return parse_config(config, where="config", research=workspace.research)
    if isinstance(config, Path) or (isinstance(config, str) and config.endswith((".toml", ".yaml", ".yml"))):
        path = Path(config)
        return read_config(path if path.exists() else workspace.root / path, research=workspace.research)
    if isinstance(config, str):
        return configured(config, None, {}, workspace)
    raise DolphinError(f"a {type(config).__name__} is no configuration", mend='give dolphin.Config("vel_div", ...)')


def ns(time: str | None) -> int | None:
    """A date or time as text in ns UTC."""
    return None if time is None else parse_time(str(time))
