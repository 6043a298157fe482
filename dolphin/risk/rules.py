"""What of the risk inputs is a choice: one frozen table, from defaults or a file, with one hash."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dolphin.errors import BadInput, DolphinError, NotFound, nearest
from dolphin.files import canonical_json, sha256_bytes
from dolphin.risk.forewarner import ORANGE_FROM, RED_FROM

#: The factors of the circuit breaker, in the order of their columns.
FACTORS = ("funding_btc", "funding_eth", "dvol_btc", "dvol_eth", "fng", "vix", "ls_btc", "taker", "oi_btc")
#: At most so many levels a factor.
GRADES = 4


class Stress(BaseModel):
    """The grades of one factor: each level that its value has reached is half a point; one may be named twice."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    side: Literal["above", "below"]
    levels: tuple[float, ...] = Field(max_length=GRADES)

    @model_validator(mode="after")
    def _outwards(self) -> Stress:
        if list(self.levels) != sorted(self.levels, reverse=self.side == "below"):
            raise ValueError(f"levels {self.side} must go outwards")
        return self


#: Stress as of choice: negative funding, fear, volatility, crowded longs, takers that sell. The level of open
#: interest grades nothing: it has no level that means the same in two years; it counts for readiness.
STRESS: dict[str, Stress] = {
    "funding_btc": Stress(side="below", levels=(0.0, -0.0001)),
    "funding_eth": Stress(side="below", levels=(0.0, -0.0001)),
    "dvol_btc": Stress(side="above", levels=(55.0, 80.0)),
    "dvol_eth": Stress(side="above", levels=(70.0, 95.0)),
    "fng": Stress(side="below", levels=(40.0, 25.0)),
    "vix": Stress(side="above", levels=(25.0, 35.0)),
    "ls_btc": Stress(side="above", levels=(2.0, 3.0)),
    "taker": Stress(side="below", levels=(0.9, 0.8)),
    "oi_btc": Stress(side="above", levels=()),
}


class RiskRules(BaseModel):
    """The choices behind a risk table.

    Attributes
    ----------
    required : tuple of str
        Factors that the circuit breaker needs: all nine by the specification. Fewer is a *reduced* breaker, which
        grades these alone.
    stress : mapping
        Grades by factor; a factor that a file names takes the place of the default's.
    beta_mode, beta_low, beta_high : the mode, and the two levels of ``w750_switch``
    update : {"bar", "day"}
        Whether the breaker is asked at every bar, or at the first of each UTC day.
    orange_from, red_from : float
        Probabilities from which a forecast is ORANGE, and RED.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    required: tuple[str, ...] = FACTORS
    stress: dict[str, Stress] = STRESS
    beta_mode: Literal["line", "w750_switch"] = "line"
    beta_low: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    beta_high: Annotated[float, Field(ge=0.0, le=1.0)] = 0.8
    update: Literal["bar", "day"] = "bar"
    orange_from: Annotated[float, Field(gt=0.0, le=1.0)] = ORANGE_FROM
    red_from: Annotated[float, Field(gt=0.0, le=1.0)] = RED_FROM

    @model_validator(mode="after")
    def _redder(self) -> RiskRules:
        if self.orange_from > self.red_from:
            raise ValueError("orange_from must not lie above red_from")
        return self

    @field_validator("stress")
    @classmethod
    def _whole(cls, stress: dict[str, Stress]) -> dict[str, Stress]:
        _known(stress)
        return {name: (STRESS | stress)[name] for name in FACTORS}

    @field_validator("required")
    @classmethod
    def _ordered(cls, required: tuple[str, ...]) -> tuple[str, ...]:
        _known(required)
        if not required:
            raise ValueError("name a factor")
        return tuple(name for name in FACTORS if name in required)

    @property
    def reduced(self) -> bool:
        """Whether the breaker does with fewer than the nine."""
        return self.required != FACTORS

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form."""
        return sha256_bytes(canonical_json(self.model_dump(mode="json")))


def _known(names: Any) -> None:
    for name in names:
        if name not in FACTORS:
            raise ValueError(f"'{name}' is no factor of the circuit breaker; {nearest(name, FACTORS)}")


def parse_rules(table: dict[str, Any], where: str) -> RiskRules:
    """Rules from a table of keys.

    Raises
    ------
    DolphinError
        On an unknown key or a value that may not be.
    """
    try:
        return RiskRules.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            mend = nearest(str(first["loc"][-1]), RiskRules.model_fields)
            raise BadInput(f"unknown key '{place}'", where=where, mend=mend) from None
        reason = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{place}: {reason}", where=where) from None


def read_rules(path: Path) -> RiskRules:
    """Rules from a TOML file: the keys of :class:`RiskRules`, one table ``[stress.FACTOR]`` a factor."""
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound("no such file", where=str(path), mend="check the path") from None
    except (OSError, ValueError) as error:
        raise DolphinError(f"not readable ({' '.join(str(error).split())})", where=str(path)) from None
    return parse_rules(table, str(path))
