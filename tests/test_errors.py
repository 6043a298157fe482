from __future__ import annotations

import pytest

from dolphin.errors import BadInput, Busy, Damaged, DamagedFile, DolphinError, MissingFile, NotFound, Refused, nearest


@pytest.mark.parametrize(
    ("where", "mend", "line"),
    [
        (None, None, "it is wrong"),
        ("here", None, "here: it is wrong"),
        (None, "do this", "it is wrong; do this"),
        ("here", "do this", "here: it is wrong; do this"),
    ],
)
def test_one_line_of_what_where_and_mend(where: str | None, mend: str | None, line: str) -> None:
    error = DolphinError("it is wrong", where=where, mend=mend)
    assert str(error) == line
    assert (error.what, error.where, error.mend) == ("it is wrong", where, mend)


def test_exit_codes_are_the_contract() -> None:
    assert (DolphinError("x").exit_code, Refused("x").exit_code) == (2, 1)
    assert issubclass(Refused, DolphinError)


@pytest.mark.parametrize("kind", [NotFound, BadInput, Damaged, Busy])
def test_each_kind_is_told_apart_and_says_the_same_line(kind: type[DolphinError]) -> None:
    error = kind("it is wrong", where="here", mend="do this")
    assert str(error) == "here: it is wrong; do this" and error.exit_code == 2
    assert [other for other in (NotFound, BadInput, Damaged, Busy, Refused) if isinstance(error, other)] == [kind]


def test_what_is_wrong_with_a_file_and_not_with_its_manifest_is_told_apart() -> None:
    assert isinstance(MissingFile("x"), NotFound) and isinstance(DamagedFile("x"), Damaged)
    assert not isinstance(NotFound("x"), MissingFile) and not isinstance(Damaged("x"), DamagedFile)


def test_nearest() -> None:
    known = ["tp_pct", "stop_pct", "fraction"]
    assert nearest("tp_pc", known) == "did you mean 'tp_pct'?"
    assert nearest("zzz", known) == "known: fraction, stop_pct, tp_pct"
    assert nearest("x", []) == "there is none yet"
    assert nearest("stop", iter(known)) == "did you mean 'stop_pct'?"
