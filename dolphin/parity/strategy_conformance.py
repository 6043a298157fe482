"""What every strategy must keep: one suite, for tests of one's own and for ``dolphin check strategy``.

>>> from dolphin.parity.strategy_conformance import conform  # doctest: +SKIP
>>> assert conform(MY_STRATEGY).passed  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dolphin.config import Account, Config, Friction, settled
from dolphin.core.records import Market
from dolphin.core.strategy import Strategy
from dolphin.errors import DolphinError
from dolphin.parity import strategy_rules as rules
from dolphin.parity.generated_markets import generated
from dolphin.parity.outside import RULE, reads_its_inputs
from dolphin.parity.watching import Broken, Outside, Watch


class Rule(NamedTuple):
    """One rule: whether it held, and if not, the first bar (row) and field that broke it, and how."""

    name: str
    passed: bool
    detail: str
    bar: int | None = None
    field: str | None = None


@dataclass(frozen=True)
class Conformance:
    """All rules of one strategy; those after one that makes them meaningless are left out."""

    strategy: str
    markets: tuple[str, ...]
    rules: tuple[Rule, ...]

    @property
    def passed(self) -> bool:
        """Whether every rule held."""
        return all(rule.passed for rule in self.rules)

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the rules that did not."""
        return tuple(rule.name for rule in self.rules if not rule.passed)

    def __str__(self) -> str:
        return "\n".join(f"{'ok    ' if r.passed else 'FAILED'}  {r.name}: {r.detail}" for r in self.rules)

    def as_dict(self) -> dict[str, Any]:
        """Plain types for JSON."""
        told = [rule._asdict() for rule in self.rules]
        return {"strategy": self.strategy, "markets": list(self.markets), "passed": self.passed, "rules": told}


#: Rules in the order in which they are tried. Without the first two nothing else is tried; the last needs the engine
#: of sweeps compiled, and is tried where all others hold.
FIRST: tuple[tuple[str, Callable[[rules.Case], str]], ...] = (
    ("stays inside its arrays", rules.inside),
    ("writes what it may", rules.pure),
)
RULES: tuple[tuple[str, Callable[[rules.Case], str]], ...] = (
    ("orders that can be", rules.orders),
    ("deterministic", rules.deterministic),
    ("no look-ahead", rules.look_ahead),
    ("warm-up is enough", rules.warm_up),
    ("may_enter keeps its promise", rules.promise),
    ("resumes from a snapshot", rules.resume),
    ("scale of quantities", rules.scale),
    ("reads the features that it declares", rules.features_used),
    (RULE, reads_its_inputs),
)
LAST: tuple[tuple[str, Callable[[rules.Case], str]], ...] = (("a sweep is the single runs", rules.sweep),)


def conform(
    what: Strategy | Config,
    markets: Mapping[str, Market] | None = None,
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> Conformance:
    """Try every rule on small markets.

    Parameters
    ----------
    what : Strategy or Config
        A strategy with the defaults of its parameters, or a configuration of one.
    markets : mapping of str to Market, optional
        Markets by name, as the strategy reads them, with arrays that can be written; by default generated ones
        (:mod:`dolphin.parity.generated_markets`).

    Raises
    ------
    StrategyError
        If the strategy does not compile.
    DolphinError
        If it has parameters without a default and no configuration says them.
    """
    case = _case(what, markets)
    told: list[Rule] = []
    total = len(FIRST) + len(RULES) + len(LAST)
    for group in (FIRST, RULES, LAST):
        for name, rule in group:
            if progress:
                progress(len(told), total, "rules")
            told.append(_tried(name, rule, case))
            if group is FIRST and not told[-1].passed:
                return Conformance(case.config.strategy_name, tuple(case.markets), tuple(told))
        if group is RULES and not all(rule.passed for rule in told):
            break
    return Conformance(case.config.strategy_name, tuple(case.markets), tuple(told))


def tried(what: Strategy | Config, rule: str, markets: Mapping[str, Market] | None = None) -> Rule:
    """One rule alone, by its name; see :func:`conform`."""
    return _tried(rule, dict((*FIRST, *RULES, *LAST))[rule], _case(what, markets))


def _case(what: Strategy | Config, markets: Mapping[str, Market] | None) -> rules.Case:
    """The strategy compiled to be watched, on these markets or on generated ones."""
    config = what if isinstance(what, Config) else _defaults(what)
    markets = generated(config) if markets is None else markets
    if config.of_window:
        first = next(iter(markets.values()))
        config = settled(config, first, [(0, len(first.ts))])
    return rules.Case(Watch(config, next(iter(markets.values()))), config, dict(markets))


def _tried(name: str, rule: Callable[[rules.Case], str], case: rules.Case) -> Rule:
    try:
        return Rule(name, True, rule(case))
    except Broken as broken:
        return Rule(name, False, broken.detail, broken.bar, broken.field)
    except Outside as outside:
        return Rule(name, False, f"bar {outside.bar}: {outside.what}", outside.bar)


def _defaults(strategy: Strategy) -> Config:
    try:
        params = strategy.params()
    except ValueError:
        raise DolphinError(
            f"strategy '{strategy.name}' has parameters without a default", mend="check it with a config that says them"
        ) from None
    return Config(strategy, strategy.name, None, params, Friction(), Account())
