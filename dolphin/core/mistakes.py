"""What is wrong in a strategy's code, with file and line. Nothing heavy is imported here."""

from __future__ import annotations


class StrategyError(Exception):
    """A mistake in ``decide`` or in what it calls: it does not compile, or it raised.

    Parameters
    ----------
    file : str
        The file that it stands in.
    line : int
        The line, from 1 on.
    reason : str
        What is wrong, in one line.
    mend : str, optional
        What the author can do about it.
    """

    def __init__(self, file: str, line: int, reason: str, mend: str | None = None) -> None:
        super().__init__(file, line, reason, mend)  # as given: it goes from process to process
        self.file, self.line, self.reason, self.mend = file, line, reason, mend

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}: {self.reason}"
        return f"{text}; {self.mend}" if self.mend else text
