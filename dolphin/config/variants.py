"""Many configurations that differ from one in a few values: their canonical text and hash, cheaply.

A study of 10,000 trials spends more on checking and spelling configurations one by one than on running
them. Here only the values that change are checked and spelled anew; text and hash are those of
:class:`~dolphin.config.config.Config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from dolphin.config.config import Account, Config, Friction, RiskInputs, exact
from dolphin.config.quantiles import word
from dolphin.errors import BadInput, DolphinError
from dolphin.files import canonical_json, sha256_bytes


class Variant(NamedTuple):
    """A checked configuration, its canonical JSON and its hash."""

    config: Config
    text: str
    hash: str


class Variants:
    """The variants of ``base``, whose percentiles are settled."""

    def __init__(self, base: Config) -> None:
        self.base = base
        self._models: dict[str, type[BaseModel]] = {
            "params": base.strategy.params,
            "friction": Friction,
            "account": Account,
        }
        if base.risk.table is not None:
            self._models["risk"] = RiskInputs
        self._values = {name: getattr(base, name).model_dump() for name in self._models}
        self._texts = {name: _text(values) for name, values in self._values.items()}
        self._places: dict[str, tuple[str, str, Any]] = {}
        self._names = _text({"strategy": base.strategy_name})[1:]
        self._identity = _text({"strategy": base.strategy_identity})[1:]
        self._preset = _text({"preset": base.preset})[1:-1]
        tables = base.market.model_dump(exclude_none=True)
        self._tables = _text({"market": tables})[1:-1] + "," if tables else ""
        self._by_params = callable(base.strategy.features) or callable(base.strategy.symbols)

    def of(self, values: Mapping[str, Any]) -> Variant:
        """The base with ``values`` by key (``tp_pct`` or ``friction.fee_bps``).

        Raises
        ------
        DolphinError
            As :meth:`Config.with_values <dolphin.config.config.Config.with_values>` does.
        """
        changed: dict[str, dict[str, Any]] = {}
        try:
            for key, value in values.items():
                section, name, kind = self._places.get(key) or self._place(key)
                if type(value) is int and not -(2**63) <= value < 2**63:
                    return self._slowly(values)
                changed.setdefault(section, self._values[section].copy())[name] = exact(value, kind)
            parts: dict[str, Any] = {
                section: self._models[section].model_validate(table, strict=True) for section, table in changed.items()
            }
        except (ValidationError, KeyError, DolphinError):
            return self._slowly(values)
        config, identity = replace(self.base, **parts), self._identity
        if self._by_params and "params" in parts and config.reads != self.base.reads:  # or it does not hold for them
            identity = _text({"strategy": config.strategy_identity})[1:]
        texts = self._texts | {section: _text(part.model_dump()) for section, part in parts.items()}
        head = f'{{"account":{texts["account"]},"friction":{texts["friction"]},'
        head += f'{self._tables}"params":{texts["params"]},'
        risk = f'"risk":{texts["risk"]},' if "risk" in texts else ""
        text = f"{head}{self._preset},{risk}{self._names}"
        return Variant(config, text, sha256_bytes(f"{head}{risk}{identity}".encode()))

    def _place(self, key: str) -> tuple[str, str, Any]:
        section, _, name = key.rpartition(".")
        for candidate in [section] if section else self._models:
            if name in self._models[candidate].model_fields:
                kind = self._models[candidate].model_fields[name].annotation
                self._places[key] = (candidate, name, kind)
                return self._places[key]
        raise KeyError(key)

    def _slowly(self, values: Mapping[str, Any]) -> Variant:
        """What is unusual or wrong goes the long way, which also knows what to say of it."""
        config = self.base.with_values(values)
        for name, percentile in config.of_window:
            raise BadInput(f'{name} = "{word(percentile)}" cannot be searched', mend="put it into the study's config")
        return Variant(config, canonical_json(config.document()).decode(), config.hash)


def _text(table: Mapping[str, Any]) -> str:
    return canonical_json(table).decode()
