"""Values that do not fit what is done with them, told in plain words from what numba says of their types."""

from __future__ import annotations

import re

#: The functions that stand behind Python's signs, by the name that numba calls them.
SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "neg": "-",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=", "and_": "&", "or_": "|", "xor": "^",
    "lshift": "<<", "rshift": ">>", "invert": "~", "contains": "in",
    "iadd": "+=", "isub": "-=", "imul": "*=", "itruediv": "/=",
}  # fmt: skip
#: What a row of an array is given to where a number belongs; numba takes its first element and fails at that.
OF_A_NUMBER = ("bool", "numpy_take", "int", "float")
ONE_ELEMENT = "read one of its elements, as in market.price[i, j]"
NO_ALLOCATION = "kernels allocate nothing: keep numbers in state.memory, or in state.scratch within a bar"

_ALLOCATES = re.compile(r"NRT required|Only accept returning of array|numba/np/arrayobj")

_SIGNATURE = re.compile(r"No implementation of function Function\(.*?\) found for signature:\s*>>> (\w+)\((.*)\)\s*\n")


def unfit(text: str) -> tuple[str, str | None] | None:
    """What does not fit in a numba error, and what may mend it; None where it is not about the types of values."""
    allocates = ("allocates memory", NO_ALLOCATION) if _ALLOCATES.search(text) else None
    found = _SIGNATURE.search(text)
    if found is None:
        return allocates
    name, given = found[1], _parts(found[2])
    if name in OF_A_NUMBER and given and _dimensions(given[0]):
        return f"takes {kind(given[0])} for one value", ONE_ELEMENT
    if allocates:
        return allocates
    if name in ("getitem", "static_getitem"):
        return _element(given)
    if name == "setitem":
        return f"puts {kind(given[-1])} into {kind(given[0])}", None
    takes = " and ".join(kind(one) for one in given)
    return f"'{SIGNS.get(name, name)}' does not take {takes or 'nothing'}", None


def _element(given: list[str]) -> tuple[str, str | None]:
    has = _dimensions(given[0])
    if not has:
        return f"reads an element of {kind(given[0])}, which has none", None
    tuple_of = re.match(r"(?:Uni)?Tuple\((.*)\)", given[-1])
    count = 1
    if tuple_of:
        times = re.fullmatch(r".* x (\d+)", tuple_of[1])
        count = int(times[1]) if times else len(_parts(tuple_of[1]))
    if count > has:
        return f"gives {count} indices to {kind(given[0])}", None
    return f"reads an element of {kind(given[0])} with {kind(given[-1])}", None


def kind(text: str) -> str:
    """A numba type in plain words."""
    literal = re.match(r"Literal\[(\w+)\]\((.*?)\)", text)
    if literal:
        return f"the text '{literal[2]}'" if literal[1] == "str" else literal[2]
    has = _dimensions(text)
    if has:
        return f"an array of {has} dimension{'s' if has > 1 else ''}"
    head = re.split(r"[(\[]", text)[0]
    plain = {
        "none": "None", "unicode_type": "a text", "Record": "a record", "State": "state", "Market": "market",
        "float64": "a number", "int64": "a whole number", "boolean": "a yes or no", "bool": "a yes or no",
    }  # fmt: skip
    if head in plain:
        return plain[head]
    if head in ("UniTuple", "Tuple"):
        return "a tuple"
    return f"{'an' if head[:1] in 'aeiou' else 'a'} {head}"


def _dimensions(text: str) -> int:
    """How many dimensions an array type has; 0 where it is no array."""
    found = re.match(r"(?:\w+ )*(?:array|Array)\(", text)
    sizes = re.findall(r", (\d+)d, ", text) if found else []
    return int(sizes[-1]) if sizes else 0


def _parts(text: str) -> list[str]:
    """What stands between the commas that are in no bracket."""
    parts, depth, begun = [], 0, 0
    for k, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(text[begun:k].strip())
            begun = k + 1
    return [part for part in (*parts, text[begun:].strip()) if part]
