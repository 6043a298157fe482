"""One run's configuration: every default filled in, one canonical form, one hash (CLI, config file)."""

from __future__ import annotations

import functools
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict, get_args

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dolphin import workspace
from dolphin.config import quantiles
from dolphin.core.declaration import Source
from dolphin.core.engine import Engine, engine_for
from dolphin.core.fill_models import BUNDLED, FillModel
from dolphin.core.hooks import friction_of
from dolphin.core.records import MARKET_COLUMNS, Records
from dolphin.core.strategy import Strategy
from dolphin.errors import BadInput, DolphinError, NotFound, nearest, nearest_beside
from dolphin.files import canonical_json, sha256_bytes
from dolphin.strategies import BUNDLED as STRATEGIES
from dolphin.strategies import DEFAULT, load, presets


class _Yaml(yaml.SafeLoader):
    """Booleans and floats as in YAML 1.2: ``off`` is a word (a volatility gate), ``1e-5`` a number."""


_OLD_TAGS = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")
_Yaml.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _OLD_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver(_OLD_TAGS[0], re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))
_Yaml.add_implicit_resolver(
    _OLD_TAGS[1], re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$"), list("-+.0123456789")
)


class Friction(BaseModel):
    """The fill model: basis points against us, and the bar whose price fills."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    slippage_bps: Annotated[float, Field(ge=0.0, le=1_000.0)] = 2.0
    fee_bps: Annotated[float, Field(ge=0.0, le=1_000.0)] = 2.0
    maker_fee_bps: Annotated[float, Field(ge=-100.0, le=1_000.0)] = 2.0
    fill_timing: Literal["close", "next"] = "close"
    fill_model: Literal["scan_price", "bar_range", "touch", "volume_share"] = "scan_price"
    volume_share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1

    @property
    def model(self) -> FillModel:
        """The fill model of that name."""
        return BUNDLED[self.fill_model]


class Account(BaseModel):
    """Capital in quote currency."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    initial_capital: Annotated[float, Field(gt=0.0, le=1e15)] = 25_000.0
    cross_maintenance: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.005


class MarketTables(BaseModel):
    """Tables of the workspace that the market takes more columns from; written and hashed only where one is named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    funding: Annotated[str, Field(min_length=1)] | None = None


NO_TABLES = MarketTables()


class RiskInputs(BaseModel):
    """The risk table that the step reads; written and hashed only where one is named.

    ``apply``: its boost, beta, Rm and posture are the step's; ``observe``: the run records them, the step is neutral;
    ``neutral``: neither. ``account``: whether an applied table's Rm and posture are whole, the account's own drawdown
    (Rm5) with them, or Rm1 to Rm4 alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: Annotated[str, Field(min_length=1)] | None = None
    mode: Literal["apply", "observe", "neutral"] = "apply"
    account: bool = True


NO_RISK = RiskInputs()

#: The sections of a config beside ``params``, whose model is the strategy's.
SECTIONS: dict[str, type[BaseModel]] = {
    "friction": Friction,
    "account": Account,
    "market": MarketTables,
    "risk": RiskInputs,
}


class ConfigDocument(TypedDict):
    """A configuration as plain JSON types: hashed, registered, written; ``market`` where it names a table."""

    strategy: str
    preset: str | None
    params: dict[str, Any]
    friction: dict[str, Any]
    account: dict[str, Any]
    market: NotRequired[dict[str, Any]]
    risk: NotRequired[dict[str, Any]]


@dataclass(frozen=True)
class Config:
    """A resolved configuration.

    ``params`` is an instance of the strategy's parameter model; ``of_window`` holds the parameters, by name,
    that a percentile of the window in use will settle.
    """

    strategy: Strategy
    strategy_name: str
    preset: str | None
    params: BaseModel
    friction: Friction
    account: Account
    of_window: tuple[tuple[str, float], ...] = ()
    market: MarketTables = NO_TABLES
    risk: RiskInputs = NO_RISK

    def document(self) -> ConfigDocument:
        """Every value, as plain JSON types; an open percentile as its word."""
        words = {name: quantiles.word(percentile) for name, percentile in self.of_window}
        found: ConfigDocument = {
            "strategy": self.strategy_name,
            "preset": self.preset,
            "params": self.params.model_dump() | words,
            "friction": self.friction.model_dump(),
            "account": self.account.model_dump(),
        }
        tables = self.market.model_dump(exclude_none=True)
        if tables:
            found["market"] = tables
        if self.risk.table:
            found["risk"] = self.risk.model_dump()
        return found

    @property
    def features(self) -> dict[str, Source]:
        """What stands in the columns of ``market.features``, by role.

        Raises
        ------
        DolphinError
            Here and below: if the strategy declares for these parameters what it may not.
        """
        try:
            return self.strategy.features_by_role(self.params)
        except TypeError as error:
            raise DolphinError(str(error), where=self.strategy.source.name) from None

    @property
    def engine(self) -> Engine:
        """The compiled engine, for the strategy as fill model, funding and an applied risk table make it trade.

        Raises
        ------
        DolphinError
            If a risk table is applied and the strategy has no reason for what HIBERNATE closes.
        """
        obeys = self.risk.table is not None and self.risk.mode == "apply"
        if obeys and "HIBERNATE_HALT" not in self.strategy.reasons:
            raise DolphinError(
                f"strategy '{self.strategy_name}' has no reason 'HIBERNATE_HALT', which an applied risk table needs",
                where="[risk] mode",
                mend="add it to the strategy's reasons, or observe the table",
            )
        funded = self.market.funding is not None
        weighs = obeys and self.risk.account
        return engine_for(_traded(self.strategy, self.friction.model.partial, funded, obeys, weighs))

    @property
    def symbols(self) -> dict[str, str]:
        """The symbols that the strategy names, by role."""
        try:
            return self.strategy.symbols_by_role(self.params)
        except TypeError as error:
            raise DolphinError(str(error), where=self.strategy.source.name) from None

    @cached_property
    def reads(self) -> tuple[Any, ...]:
        """What its market follows from beside the dataset: equal for configurations that read the same one."""
        features = tuple((role, f if isinstance(f, str) else f.digest) for role, f in self.features.items())
        columns = columns_needed(self)
        tables = self.market, self.risk
        return self.strategy, features, tuple(self.symbols.items()), columns, *tables, self.friction.fill_model

    @property
    def strategy_identity(self) -> str:
        """What the hash knows the strategy by: its name, the digest of its own sources, and those of plug-in features.

        Bundled strategies go by their name: other sources are another version of the package. Those of a workspace
        are edited as parameters are, and what was looked at with other sources is another look.
        """
        digests = [feature.digest for feature in self.features.values() if not isinstance(feature, str)]
        own = [_sources_of(self.strategy)] if self.strategy_name not in STRATEGIES else []
        return " ".join([self.strategy_name, *own, *digests])

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form. The preset's name is left out: only its values count."""
        document: dict[str, Any] = {**self.document(), "strategy": self.strategy_identity}
        del document["preset"]
        return sha256_bytes(canonical_json(document))

    def with_values(self, values: Mapping[str, Any]) -> Config:
        """A copy with some keys of params, friction or account replaced, checked again."""
        document: dict[str, Any] = {**self.document()}
        for key, value in values.items():
            _place(document, key, value, self.strategy)
        return _build(document, self.strategy, "--set")

    def with_quantiles(self, numbers: Mapping[str, float]) -> Config:
        """A copy with the numbers that open percentiles stood for (:func:`dolphin.config.settled`)."""
        params = self.params.model_copy(update={name: float(value) for name, value in numbers.items()})
        left = tuple((name, percentile) for name, percentile in self.of_window if name not in numbers)
        return replace(self, params=params, of_window=left)

    def params_record(self) -> Records:
        """An array of one parameter record of the strategy."""
        return params_records([self.params])

    def friction_record(self) -> Records:
        """An array of one record of what trading costs."""
        return friction_records([self])


@functools.cache
def _traded(strategy: Strategy, in_parts: bool, funded: bool, obeys: bool, weighs: bool) -> Strategy:
    """The strategy as it trades here.

    Its positions change size where orders fill in parts, pay funding where there is, obey postures where a risk
    table is applied, and weigh the account's drawdown where its Rm5 is.
    """
    if in_parts and strategy.plain:
        strategy = replace(strategy, resize=True, events=None)
    if funded and "funding" not in strategy.market_columns:
        strategy = replace(strategy, market_columns=(*strategy.market_columns, "funding"), events=None)
    if obeys:
        strategy = strategy.weighing if weighs else strategy.obeying
    return strategy


@functools.lru_cache(maxsize=64)
def _sources_of(strategy: Strategy) -> str:
    return strategy.digest


def friction_records(many: Sequence[Config]) -> Records:
    """(C,) records of what trading costs, of configurations with one fill model."""
    friction = [config.friction for config in many]
    records = np.zeros(len(many), friction_of(friction[0].model))
    records["slippage"] = np.array([f.slippage_bps for f in friction]) / 1e4
    records["fee"] = np.array([f.fee_bps for f in friction]) / 1e4
    records["maker_fee"] = np.array([f.maker_fee_bps for f in friction]) / 1e4
    records["volume_share"] = [f.volume_share for f in friction]
    records["maintenance"] = [config.account.cross_maintenance for config in many]
    records["fill_next"] = [f.fill_timing == "next" for f in friction]
    return records


def columns_needed(config: Config) -> tuple[str, ...]:
    """Which of :data:`~dolphin.core.records.MARKET_COLUMNS` this configuration needs, in that order."""
    asked = {*config.engine.strategy.market_columns, *config.friction.model.columns}
    return tuple(name for name in MARKET_COLUMNS if name in asked)


def params_records(many: list[BaseModel]) -> Records:
    """(C,) parameter records: floats as float64, integers, booleans and choices as int64, no texts."""
    fields = {name: about for name, about in type(many[0]).model_fields.items() if about.annotation is not str}
    choices = {name: get_args(f.annotation) for name, f in fields.items() if _is_choice(f.annotation)}
    # Last fields first: where a model extends another, numba would take a record that begins with the
    # other's fields for one of its subtype, and call what it has compiled for that.
    kinds = [(name, "f8" if f.annotation is float else "i8") for name, f in reversed(fields.items())]
    dtype = np.dtype(kinds or [("none", "i8")], align=True)  # a record has a field
    records = np.zeros(len(many), dtype)
    for name in fields:
        values = [getattr(params, name) for params in many]
        if name in choices:
            values = [choices[name].index(value) for value in values]
        records[name] = values
    return records


def read_config(path: Path, *, overrides: Mapping[str, Any] | None = None, research: Path | None = None) -> Config:
    """Read a TOML or YAML config file.

    Parameters
    ----------
    path : Path
        The file.
    overrides : mapping, optional
        ``--set`` values by key (``tp_pct`` or ``friction.fee_bps``); they win over the file.
    research : Path, optional
        Where ``module:attribute`` strategies live; by default in the workspace that the file lies in, or else
        in the one that the command would find.

    Raises
    ------
    DolphinError
        On a missing or malformed file, an unknown key, a wrong type, a value out of range.
    """
    table = read_table(path)
    if research is None and ":" in str(table.get("strategy", "")):
        research = workspace.around(Path(path)).research
    return parse_config(table, where=str(path), overrides=overrides, research=research)


def parse_config(
    table: Mapping[str, Any],
    *,
    where: str,
    overrides: Mapping[str, Any] | None = None,
    research: Path | None = None,
) -> Config:
    """Resolve a config table (see :func:`read_config`)."""
    known = ("strategy", "preset", "params", *SECTIONS)
    for key in table:
        if key not in known:
            raise BadInput(f"unknown key '{key}'", where=where, mend=nearest(str(key), known))
    name = table.get("strategy", DEFAULT)
    if not isinstance(name, str):
        raise BadInput(f"strategy must be a name, not {name!r}", where=where)
    strategy = load(name, research)
    document: dict[str, Any] = {"strategy": name, "preset": table.get("preset"), "params": {}}
    if document["preset"] is not None:
        offered = presets(strategy)
        if not isinstance(document["preset"], str) or document["preset"] not in offered:
            raise DolphinError(
                f"unknown preset '{document['preset']}'",
                where=where,
                mend=nearest(str(document["preset"]), offered),
            )
        document["params"].update(offered[document["preset"]])
    for section in ("params", *SECTIONS):
        values = table.get(section, {})
        if not isinstance(values, Mapping):
            raise BadInput(f"[{section}] must be a table", where=where)
        document.setdefault(section, {}).update(values)
    for key, value in (overrides or {}).items():
        _place(document, key, value, strategy)
    return _build(document, strategy, where)


def read_table(path: Path) -> dict[str, Any]:
    """A TOML or (by suffix) YAML file as a table."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        mend = nearest_beside(path, f"*{path.suffix}", "check the path")
        raise NotFound("no such file", where=str(path), mend=mend) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DolphinError(f"not readable ({error})", where=str(path)) from None
    try:
        table = yaml.load(text, _Yaml) if path.suffix in (".yaml", ".yml") else tomllib.loads(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise DolphinError(f"not valid: {' '.join(str(error).split())}", where=str(path)) from None
    if not isinstance(table, dict):
        raise DolphinError("holds no table of keys", where=str(path))
    return table


def to_toml(document: Mapping[str, Any]) -> str:
    """A config document (:meth:`Config.document`) as TOML."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in document.items() if isinstance(value, str)]
    for section, values in document.items():
        if isinstance(values, Mapping):
            # JSON's strings, numbers and booleans are TOML's, but a float must keep its point.
            body = [f"{key} = {_toml_value(value)}" for key, value in values.items()]
            lines += ["", f"[{section}]", *body]
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    return repr(value) if isinstance(value, float) else json.dumps(value)


def parse_value(text: str) -> Any:
    """A ``--set key=value`` value by TOML's rules; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _place(document: dict[str, Any], key: str, value: Any, strategy: Strategy) -> None:
    """Put a key (plain, or ``section.key``) into the section that knows it."""
    models = {"params": strategy.params, **SECTIONS}
    section, _, plain = key.rpartition(".")
    sections = [section] if section else list(models)
    for candidate in sections:
        if candidate in models and plain in models[candidate].model_fields:  # type: ignore[attr-defined]
            document.setdefault(candidate, {})[plain] = value
            return
    known = [f for model in models.values() for f in model.model_fields]  # type: ignore[attr-defined]
    raise BadInput(f"unknown key '{key}'", where="--set", mend=nearest(plain, known))


def _build(document: Mapping[str, Any], strategy: Strategy, where: str) -> Config:
    params, of_window = quantiles.take_words(strategy, document.get("params", {}), where)
    config = Config(
        strategy=strategy,
        strategy_name=document["strategy"],
        preset=document.get("preset"),
        params=validate(strategy.params, params, "params", where),
        friction=validate(Friction, document.get("friction", {}), "friction", where),
        account=validate(Account, document.get("account", {}), "account", where),
        market=validate(MarketTables, document.get("market", {}), "market", where),
        risk=validate(RiskInputs, document.get("risk", {}), "risk", where),
        of_window=tuple(of_window.items()),
    )
    if document.get("risk") and config.risk.table is None:
        raise BadInput("[risk] names no table", where=where, mend='add table = "NAME", or leave the section out')
    _ = config.reads  # a declaration that does not hold for these parameters is told here
    return config


def validate[M: BaseModel](model: type[M], values: Mapping[str, Any], section: str, where: str) -> M:
    """An instance of ``model``, or one line that says which key is wrong and why."""
    for key, value in values.items():
        if key not in model.model_fields:
            raise BadInput(
                f"unknown key '{key}' in [{section}]", where=where, mend=nearest(str(key), model.model_fields)
            )
        if type(value) is int and not -(2**63) <= value < 2**63:
            raise BadInput(f"[{section}] {key} is too large a number", where=where)
    values = {key: exact(value, model.model_fields[key].annotation) for key, value in values.items()}
    try:
        return model.model_validate(values, strict=True)
    except DolphinError as error:  # of a strategy's own check
        raise BadInput(f"[{section}] {error.what}", where=where, mend=error.mend) from None
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise BadInput(f"[{section}] {reason}", where=where) from None
        wrong = first["loc"][0]
        reason = reason[0].lower() + reason[1:]
        raise BadInput(f"[{section}] {wrong} = {first['input']!r}: {reason}", where=where) from None


def exact(value: Any, kind: Any) -> Any:
    """Allow what loses nothing under strict validation: 2 for a float, 2.0 for an integer."""
    if kind is float and type(value) is int:
        return float(value)
    if kind is int and type(value) is float and value.is_integer():
        return int(value)
    return value


def _is_choice(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is Literal
