"""Faults on request: which request or message is due to go wrong, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dolphin.errors import BadInput, nearest

#: What can become of a message.
MESSAGE_FAULTS = ("drop", "dup", "late", "reverse")


@dataclass
class Rule:
    """One fault.

    Attributes
    ----------
    where : str
        A request (``POST /fapi/v1/order``) or a kind of message (``ORDER_TRADE_UPDATE``, ``kline``).
    times, skip : int
        How often it happens, and how many are let pass before.
    do : str
        Messages: ``drop``, ``dup`` (twice), ``late`` (after ``delay`` s), ``reverse`` (behind the next).
    status, code : int
        Requests: what is answered; ``after`` says that it was executed all the same, ``delay`` is in seconds.
    only : str
        For messages with this text in them alone (``"x":"NEW"``).
    """

    where: str
    times: int = 1
    skip: int = 0
    do: str = ""
    status: int = 0
    code: int = -1000
    message: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    delay: float = 0.0
    only: str = ""


class Faults:
    """The faults that are still to come, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self.done: list[str] = []

    def add(self, document: Mapping[str, Any]) -> Rule:
        """Ask for a fault.

        Raises
        ------
        BadInput
            If a key or a value is unknown.
        """
        known = set(Rule.__dataclass_fields__)
        for key in document:
            if key not in known:
                raise BadInput(f"a fault has no '{key}'", mend=nearest(key, known))
        if not document.get("where"):
            raise BadInput("a fault needs 'where'", mend="a request such as 'POST /fapi/v1/order', or a message")
        if document.get("do", "") not in ("", *MESSAGE_FAULTS):
            raise BadInput(f"nothing known can be done as '{document['do']}'", mend=f"one of {MESSAGE_FAULTS}")
        rule = Rule(**document)
        self._rules.append(rule)
        return rule

    def take(self, where: str, text: str = "") -> Rule | None:
        """The fault that is due here, if any."""
        for rule in self._rules:
            if rule.where != where or rule.only not in text:
                continue
            if rule.skip > 0:
                rule.skip -= 1
                return None
            rule.times -= 1
            if rule.times <= 0:
                self._rules.remove(rule)
            self.done.append(f"{where} {rule.do or rule.code}")
            return rule
        return None

    @property
    def pending(self) -> int:
        """Faults that have not happened yet."""
        return len(self._rules)

    def clear(self) -> None:
        """None of them any more."""
        self._rules.clear()
