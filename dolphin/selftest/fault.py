"""A fault: an edit of one source of the package, what it pretends to be, and who is expected to catch it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from dolphin.errors import DolphinError


@dataclass(frozen=True)
class Fault:
    """One edit that makes the package wrong.

    Attributes
    ----------
    name : str
        Short, in kebab case.
    what : str
        The mistake that it pretends to be.
    module : str
        The edited source, from the package's folder.
    old, new : str
        A text that stands there once, and what takes its place.
    detector, stage : str
        Who is expected to catch it, and the stage that is to be named.
    """

    name: str
    what: str
    module: str
    old: str
    new: str
    detector: str
    stage: str

    @property
    def key(self) -> str:
        """What a result of it is kept under: the edit and its detector."""
        return sha256("\0".join((self.module, self.old, self.new, self.detector)).encode()).hexdigest()[:16]

    def edited(self, source: str) -> str:
        """The source with the fault in it.

        Raises
        ------
        DolphinError
            If the text is not there, or more than once.
        """
        count = source.count(self.old)
        if count != 1:
            raise DolphinError(
                f"fault '{self.name}': its text stands {count} times in the source",
                where=self.module,
                mend="write it anew after the source",
            )
        return source.replace(self.old, self.new)

    def apply(self, package: Path) -> None:
        """Edit the source in this folder of the package."""
        path = package / self.module
        path.write_text(self.edited(path.read_text(encoding="utf-8")), encoding="utf-8")
