"""Mistakes in a strategy, told in one line: numba says them in hundreds, from inside the step.

A kernel is not asked why it failed. The strategy's own functions are compiled alone, before it where it is not
compiled yet: what is then said is about them, and names their lines.
"""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numba
import numpy as np
from numba.core import types

from dolphin.core.mistakes import StrategyError
from dolphin.core.records import INSTRUMENT, ORDER, RISK, SLOT, Market, State
from dolphin.core.strategy import Strategy
from dolphin.core.unfit import kind, unfit

INLINE = "decorate it with dolphin.core.jit.inline"
NAME_SYMBOLS = "name it in Strategy(symbols=...), its column is market.symbols[0].NAME"

#: Python's own names that kernels may use.
BUILTINS = ("abs", "bool", "float", "int", "len", "max", "min", "range", "round")

#: Records that a strategy meets, by their fields.
RECORDS = {
    frozenset(kind.names or ()): name
    for kind, name in (
        (SLOT, "state.slots[s]"),
        (ORDER, "an order (state.intents[s])"),
        (INSTRUMENT, "market.instruments[j]"),
        (RISK, "market.risk[i]"),
    )
}


def guarded(kernels: ModuleType, strategy: Strategy) -> Any:
    """The kernels by name, each with the strategy's mistakes told as :class:`StrategyError`."""
    names = [name for name, value in vars(kernels).items() if hasattr(value, "py_func")]
    return SimpleNamespace(**{name: _guard(getattr(kernels, name), strategy) for name in names})


def _guard(kernel: Any, strategy: Strategy) -> Callable[..., Any]:
    passed = False

    def call(*arguments: Any) -> Any:
        nonlocal passed
        if not passed and not on_disk(kernel, arguments):
            # A mistake is told before the step around it is compiled, which takes twenty times as long.
            found = _uncompilable(strategy, arguments)
            if found is not None:
                raise found
        passed = True
        try:
            return kernel(*arguments)
        except Exception as error:
            raised = _raised(error, strategy) or _uncompilable(strategy, arguments)
            if raised is None:
                raise
            raise raised from None

    return call


def on_disk(kernel: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether numba has compiled the kernel for these arguments before."""
    cache, signature = kernel._cache, tuple(map(numba.typeof, arguments))
    return cache._index_key(signature, kernel.targetctx.codegen()) in cache._cache_file._load_index()


def _raised(error: Exception, strategy: Strategy) -> StrategyError | None:
    """What the strategy's code raised, if it did."""
    files = {str(path) for path in strategy.sources}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in files:
            reason = f"raised {type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
            return StrategyError(frame.filename, frame.lineno or 1, reason)
    return None


def _uncompilable(strategy: Strategy, arguments: tuple[Any, ...]) -> StrategyError | None:
    """Why the strategy does not compile for a kernel's arguments; None if it does, or the kernel decides nothing."""
    if len(arguments) < 4 or not isinstance(arguments[3], Market) or not isinstance(arguments[1], np.ndarray):
        return None
    state, params, _, market = arguments[:4]
    if state.account.ndim == 2:  # many of them
        state = State._make([*(field[0] for field in state[:-1]), state.scratch])
    known = tuple(map(numba.typeof, (state, params[0], market, 0)))
    return mistake_of(strategy, known, params.dtype.names or ())


def mistake_of(strategy: Strategy, known: tuple[Any, ...], params: Iterable[str]) -> StrategyError | None:
    """Why ``decide`` or ``may_enter`` does not compile for these numba types of its four arguments; None if both do."""
    files = {str(path) for path in strategy.sources}
    for function, of in ((strategy.decide, known), (strategy.may_enter, known[1:])):
        if function is not None and (wrong := told(function, of, files, set(params))):
            return wrong
    return None


def told(function: Any, signature: tuple[Any, ...], files: Iterable[str], params: set[str]) -> StrategyError | None:
    """Why an inline function does not compile for these numba types; None if it does."""
    try:
        function.compile(signature)
    except Exception as error:
        code = function.py_func.__code__
        file, line = _place(error, set(files)) or (code.co_filename, _line(error) or code.co_firstlineno)
        return StrategyError(file, line, *_reason(error, function.py_func, params))
    return None


def _place(error: Exception, files: set[str]) -> tuple[str, int] | None:
    """File and line of the innermost of the strategy's statements that the compiler was at."""
    for file, line in re.findall(r"(?:at|Raised from) (\S.*?) \((\d+)\)", str(error)):
        if str(file) in files:
            return file, int(line)
    found = None
    for local in (error, *(value for frame in _frames(error) for value in frame.values())):
        loc: Any = getattr(local, "loc", None)
        if getattr(loc, "filename", None) in files:
            found = loc.filename, loc.line  # deeper ones come later
    return found


def _line(error: Exception) -> int | None:
    """The line of a bytecode that numba does not read."""
    lines = [getattr(frame.get("inst"), "lineno", None) for frame in _frames(error)]
    return next((line for line in reversed(lines) if isinstance(line, int)), None)


def _frames(error: Exception) -> Iterator[dict[str, Any]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_locals
        trace = trace.tb_next


def _reason(error: Exception, function: Any, params: set[str]) -> tuple[str, str | None]:
    """What is wrong, and what may mend it."""
    text = _short(str(error))
    if isinstance(error, KeyError):
        record = next((v for f in _frames(error) for v in reversed(f.values()) if isinstance(v, types.Record)), None)
        if record is not None:
            known = [name for name in record.fields if not name.startswith("strategy_")]
            return f"{_record_name(known, params)} has no field '{error.args[0]}'", _nearest(error.args[0], known)
    for pattern, tell in _TELL:
        found = re.search(pattern, text)
        if found:
            return tell(found, function)
    if (wrong := unfit(str(error))) is not None:
        return wrong
    lines = [line.strip() for line in text.splitlines()]
    skip = ("Failed in", "During", "File ", "- ", ">>>", "^")
    first = next((line for line in lines if line and not line.startswith(skip)), type(error).__name__)
    return f"does not compile: {first.removesuffix('. Raised from None')}", None


def _record_name(fields: list[str], params: set[str]) -> str:
    if {"capital", "peak_equity"} <= set(fields):
        return "state.account[0]"
    if frozenset(fields) in RECORDS:
        return RECORDS[frozenset(fields)]
    return "params" if set(fields) == params else "market.symbols[0]"


def _attribute(found: re.Match[str], function: Any) -> tuple[str, str | None]:
    name, of = found.groups()
    fields = {"State": State._fields, "Market": Market._fields}.get(of)
    if fields is None:
        return f"{kind(of)} has no attribute '{name}'", None
    # What others call the close is called the price here, and no spelling leads there.
    near = "did you mean 'price'?" if (of, name) == ("Market", "close") else _nearest(name, fields)
    return f"{of.lower()} has no field '{name}'", near


def _untyped(found: re.Match[str], function: Any) -> tuple[str, str | None]:
    name, of = found.groups()
    if of == "function":
        return f"calls '{name}', which is a plain Python function", INLINE
    return f"reads '{name}', a {of}, which compiled code cannot", "numbers, tuples of numbers and arrays can be read"


def _undefined(found: re.Match[str], function: Any) -> tuple[str, str | None]:
    known = {*function.__globals__, *function.__code__.co_varnames, *BUILTINS}
    return f"name '{found[1]}' is not defined", _nearest(found[1], [n for n in known if not n.startswith("__")])


#: What numba says, and how it is told. The first that matches counts.
_TELL: tuple[tuple[str, Callable[[re.Match[str], Any], tuple[str, str | None]]], ...] = (
    (r"Unknown attribute '(\w+)' of type (\w+(?:\[\w+\]\([^)]*\))?)", _attribute),
    (r"Untyped global name '(\w+)':.*<class '([\w.]+)'>", _untyped),
    (r"NameError: name '(\w+)' is not defined", _undefined),
    (r"array index type Literal\[str\]\(([^)]*)\)", lambda m, _: (f"uses the text '{m[1]}' as an index", NAME_SYMBOLS)),
    (r"array index type unicode_type", lambda m, _: ("uses a text as an index", NAME_SYMBOLS)),
    (r"array index type (\w+)", lambda m, _: (f"uses a {m[1]} as an index", "an index is a whole number")),
    (r"Cannot unify (\S+) and (\S+) for '(\$?\w+)", lambda m, _: (
        f"{'a value' if m[3][0] == '$' else repr(m[3])} is both {kind(m[1])} and {kind(m[2])}", None,
    )),
    (r"Cannot cast (\S+) to (\w+)", lambda m, _: (f"puts {kind(m[1])} where {kind(m[2])} belongs", None)),
    (r"No definition for lowering (State|Market)\(\.\.\.\)\.(\w+) =", lambda m, _: (
        f"assigns to {m[1].lower()}.{m[2]}", "write into its elements; of market and params nothing may be written",
    )),
    (r"No definition for lowering (\w+)(?:\(\.\.\.\))?\.(\w+) =", lambda m, _: (
        f"gives {kind(m[1])} where a record with '{m[2]}' belongs, such as state.intents[0]", None,
    )),
    (r"(?:Cannot modify|Cannot store).*(?:readonly|read-only)", lambda m, _: (
        "writes into an array of market", "decide writes state.intents, state.memory and state.scratch only",
    )),
    (r"Invalid use of getiter with parameters \((.*)\)", lambda m, _: (
        f"goes through {kind(m[1])}, which has no elements", None,
    )),
    (r"Invalid use of (array)\(", lambda m, _: ("calls an array", "its elements are read with [ ]")),
    (r"Invalid use of (\w+) with parameters", lambda m, _: (f"calls {kind(m[1])} like a function", None)),
    (r"Cannot resolve setattr: \((.*)\)\.(\w+) = ", lambda m, _: (
        f"gives {kind(m[1])} where a record with '{m[2]}' belongs, such as state.intents[0]", None,
    )),
    (r"use of yield in a closure", lambda *_: ("uses a generator", "write it as a loop")),
    (r"unsupported opcode \(IMPORT_NAME\)", lambda m, _: (
        "imports within a function", "import above it, in the module",
    )),
    (r"module 'numpy' has no attribute '(\w+)'", lambda m, _: (f"numpy has no '{m[1]}'", None)),
    (r"Cannot bind 'args=.*?(missing a required argument: '\w+'|too many positional arguments)", lambda m, _: (
        f"calls a function with the wrong arguments: {m[1]}", None,
    )),
)  # fmt: skip


def _nearest(name: str, known: Iterable[str]) -> str | None:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names)}" if len(names) <= 40 else None


def _short(text: str) -> str:
    """The text with what stands in the brackets of long types left out."""
    out, k = [], 0
    for start in re.finditer(r"\b(State|Market|Record|array)\(", text):
        if start.start() < k:
            continue
        depth, end = 1, start.end()
        while end < len(text) and depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        out += [text[k : start.end()], "...)"]
        k = end
    return "".join([*out, text[k:]])
