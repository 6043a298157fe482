"""The account's key and secret: from the environment or the system's keyring, never from a file, never shown."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module

from dolphin.errors import DolphinError

KEY, SECRET = "BINANCE_API_KEY", "BINANCE_API_SECRET"
_SERVICE = "dolphin"

#: ``PR_SET_DUMPABLE`` of Linux.
_SET_DUMPABLE = 4


class Keys:
    """A key and its secret; printed it is neither."""

    __slots__ = ("key", "secret")

    def __init__(self, key: str, secret: str) -> None:
        self.key, self.secret = key, secret

    def __repr__(self) -> str:
        return "Keys(***)"

    def __reduce__(self) -> str:
        raise TypeError("keys are not written anywhere")

    def hidden(self, text: str) -> str:
        """The text without them."""
        for value in (self.secret, self.key):
            if len(value) >= 4:
                text = text.replace(value, "***")
        return text


def read_keys(environment: Mapping[str, str] | None = None) -> Keys:
    """The keys of ``BINANCE_API_KEY`` and ``BINANCE_API_SECRET``, else of the keyring's service ``dolphin``.

    Raises
    ------
    DolphinError
        If either is missing.
    """
    found = os.environ if environment is None else environment
    values = [found.get(name) or _of_keyring(name) for name in (KEY, SECRET)]
    for name, value in zip((KEY, SECRET), values, strict=True):
        if not value:
            raise DolphinError(
                f"{name} is not set", mend="export it, or keep it in the keyring under the service 'dolphin'"
            )
    return Keys(str(values[0]).strip(), str(values[1]).strip())


def leave_no_core() -> None:
    """Have the system write no memory of this process to a file, whatever kills it: the keys are in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, AttributeError):  # a pipe that takes core dumps is told by this alone; Linux has it
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def _of_keyring(name: str) -> str | None:
    """From the system's keyring, where that package is installed."""
    try:
        value: str | None = import_module("keyring").get_password(_SERVICE, name)
    except Exception:  # not installed, or no backend on this machine: then there is none
        return None
    return value
