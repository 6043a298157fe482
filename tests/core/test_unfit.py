"""What numba says of types, told in plain words."""

from __future__ import annotations

import pytest

from dolphin.core.unfit import kind, unfit

SAID = "No implementation of function Function(<built-in function x>) found for signature:\n \n >>> {}\n \nThere are 2"
ROW, TABLE = "array(float64, 1d, C)", "unaligned readonly array(Record(a[type=int64;offset=0],8,False), 2d, A)"


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        ("add(float64, Literal[str](a))", "'+' does not take a number and the text 'a'"),
        ("truth(none)", "'truth' does not take None"),
        (f"max({ROW}, int64)", "'max' does not take an array of 1 dimension and a whole number"),
        (f"bool({ROW})", "takes an array of 1 dimension for one value"),
        (f"numpy_take({ROW}, Literal[int](0))", "takes an array of 1 dimension for one value"),
        ("getitem(float64, Literal[int](0))", "reads an element of a number, which has none"),
        (f"getitem({TABLE}, UniTuple(int64 x 3))", "gives 3 indices to an array of 2 dimensions"),
        (f"getitem({TABLE}, Tuple(int64, int64, Literal[int](0)))", "gives 3 indices to an array of 2 dimensions"),
        (f"getitem({ROW}, none)", "reads an element of an array of 1 dimension with None"),
        (f"setitem({ROW}, int64, unicode_type)", "puts a text into an array of 1 dimension"),
        ("sub(State(array(float64, 1d, C), array(int64, 1d, C)), boolean)", "'-' does not take state and a yes or no"),
        ("ask_open()", "'ask_open' does not take nothing"),
    ],
)
def test_it_is_a_sentence(signature: str, said: str) -> None:
    told = unfit(SAID.format(signature))
    assert told is not None and told[0] == said


def test_what_is_not_of_types_is_left_to_others() -> None:
    assert unfit("NameError: name 'x' is not defined") is None


def test_what_needs_memory_says_so() -> None:
    told = unfit(SAID.format(f"sort({ROW})") + " NRT required but not enabled")
    assert told is not None and told[0] == "allocates memory"


def test_a_type_has_an_article() -> None:
    assert [kind(text) for text in ("int64", "float64", "Literal[int](7)", "Tuple(int64, none)", "Market(a, b)")] == [
        *("a whole number", "a number", "7", "a tuple", "market"),
    ]
