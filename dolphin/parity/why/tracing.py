"""A strategy's own functions as plain Python that tells every condition, assignment and call it comes by.

The source of ``decide``, and of every compiled function of the strategy that it reaches, is parsed; comparisons and
tests are wrapped so that they report their operands, and the whole is compiled again. What lies in the framework's
kernels (ranking, rounding to lots) is called as it is and told by its result alone.
"""

from __future__ import annotations

import ast
import inspect
import operator
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from dolphin.parity.slow.in_python import in_python

#: The name under which the tracer stands in the globals of what it traces.
TELL = "__why__"
#: Modules of the framework whose functions are not looked into, and the one whose functions are wishes.
KERNELS, WISHES = ("dolphin.core", "dolphin.features"), "dolphin.core.wishes"
_OPERATORS: dict[type[ast.cmpop], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Lt: ("<", operator.lt), ast.LtE: ("<=", operator.le), ast.Gt: (">", operator.gt), ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq), ast.NotEq: ("!=", operator.ne), ast.Is: ("is", operator.is_),
    ast.IsNot: ("is not", operator.is_not), ast.In: ("in", lambda a, b: a in b),
    ast.NotIn: ("not in", lambda a, b: a not in b),
}  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A place in the source: what is written there, and where."""

    text: str
    line: int
    operands: tuple[str, ...] = ()
    operators: tuple[type[ast.cmpop], ...] = ()


@dataclass
class Comparison:
    """One comparison, evaluated: both sides as written and as they were; ``op`` "is true" has no right side."""

    left: str
    value: Any
    op: str
    right: str
    limit: Any
    outcome: bool


@dataclass
class Condition:
    """What a branch, a loop or an expression asked, with the comparisons that were evaluated for it."""

    site: Site
    parts: list[Comparison] = field(default_factory=list)
    outcome: bool = False


@dataclass
class Assigned:
    """A name, or a place such as ``memory[0]``, that was given a value."""

    site: Site
    name: str
    value: Any


@dataclass
class Wish:
    """A call of one of the functions by which a strategy asks for something."""

    name: str


@dataclass
class Frame:
    """One call of one function of the strategy."""

    function: str
    file: str
    line: int
    arguments: dict[str, Any]
    events: list[Condition | Assigned | Wish | Frame] = field(default_factory=list)
    returned: Any = None


class Tracer:
    """Collects what the traced functions tell; ``root`` is the last call from outside."""

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.root: Frame | None = None
        self._frames: list[Frame] = []
        self._conditions: list[Condition] = []

    def enter(self, frame: Frame) -> None:
        if self._frames:
            self._frames[-1].events.append(frame)
        else:
            self.root = frame
        self._frames.append(frame)

    def leave(self, returned: Any) -> None:
        self._frames.pop().returned = scalar(returned)

    def wish(self, name: str) -> None:
        if self._frames:
            self._frames[-1].events.append(Wish(name))

    def test(self, site: int, asked: Callable[[], Any]) -> Any:
        """The test of a branch or loop: what is compared in it belongs to it."""
        condition = Condition(self.sites[site])
        self._conditions.append(condition)
        try:
            answer = asked()
        finally:
            self._conditions.pop()
        condition.outcome = bool(answer)
        self._frames[-1].events.append(condition)
        return answer

    def compare(self, site: int, *operands: Callable[[], Any]) -> Any:
        """A comparison or a chain of them, each side evaluated once and no further than Python would."""
        where = self.sites[site]
        left, answer = operands[0](), None
        for k, (op, right_of) in enumerate(zip(where.operators, operands[1:], strict=True)):
            right = right_of()
            word, ask = _OPERATORS[op]
            answer = ask(left, right)
            texts = where.operands[k], where.operands[k + 1]
            self._told(where, Comparison(texts[0], scalar(left), word, texts[1], scalar(right), bool(answer)))
            if not answer:
                break
            left = right
        return answer

    def truth(self, site: int, value: Any) -> Any:
        """A value that stands for a condition itself."""
        where = self.sites[site]
        self._told(where, Comparison(where.text, scalar(value), "is true", "", None, bool(value)))
        return value

    def assigned(self, site: int, name: str, value: Any) -> None:
        self._frames[-1].events.append(Assigned(self.sites[site], name, scalar(value)))

    def _told(self, site: Site, comparison: Comparison) -> None:
        if self._conditions:
            self._conditions[-1].parts.append(comparison)
        else:
            self._frames[-1].events.append(Condition(site, [comparison], comparison.outcome))


def scalar(value: Any) -> Any:
    """A number, truth or text as plain Python; a tuple of such; None for what is no scalar."""
    if hasattr(value, "item") and getattr(value, "shape", None) == () and not getattr(value.dtype, "names", None):
        value = value.item()
    if isinstance(value, tuple):
        return tuple(scalar(item) for item in value)
    return value if isinstance(value, bool | int | float | str) else None


def traced(function: Any, tracer: Tracer, known: dict[Any, Callable[..., Any]] | None = None) -> Callable[..., Any]:
    """The Python function under a compiled one, telling; as it is where its source cannot be read."""
    known = {} if known is None else known
    if function in known:
        return known[function]
    written: FunctionType = function.py_func
    if written.__module__.startswith(KERNELS):
        plain = in_python(function)
        known[function] = _wishing(plain, written.__name__, tracer) if written.__module__ == WISHES else plain
        return known[function]
    tree = _tree(written)
    names = dict(written.__globals__) | {TELL: tracer}
    if tree is None:
        inner: Callable[..., Any] = FunctionType(
            written.__code__, names, written.__name__, written.__defaults__, written.__closure__
        )
    else:
        code = compile(
            _Instrument(tracer, written).module(tree), written.__code__.co_filename, "exec", dont_inherit=True
        )
        exec(code, names)
        inner = names[written.__name__]
    known[function] = _framed(inner, written, tracer)
    for name in written.__code__.co_names:
        if hasattr(written.__globals__.get(name), "py_func"):
            names[name] = traced(written.__globals__[name], tracer, known)
    return known[function]


def _tree(written: FunctionType) -> ast.FunctionDef | None:
    """The parsed source; None where there is none, or where names come from an enclosing function."""
    if written.__closure__:
        return None
    try:
        found = ast.parse(textwrap.dedent(inspect.getsource(written))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    return found if isinstance(found, ast.FunctionDef) and found.name == written.__name__ else None


def _framed(inner: Callable[..., Any], written: FunctionType, tracer: Tracer) -> Callable[..., Any]:
    names, file, line = written.__code__.co_varnames, written.__code__.co_filename, written.__code__.co_firstlineno

    def call(*args: Any) -> Any:
        scalars = {name: value for name, arg in zip(names, args, strict=False) if (value := scalar(arg)) is not None}
        tracer.enter(Frame(written.__name__, file, line, scalars))
        returned = None
        try:
            returned = inner(*args)
        finally:
            tracer.leave(returned)
        return returned

    return call


def _wishing(plain: Callable[..., Any], name: str, tracer: Tracer) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        tracer.wish(name)
        return plain(*args)

    return call


class _Instrument(ast.NodeTransformer):
    """Wraps what a function asks and assigns."""

    def __init__(self, tracer: Tracer, written: FunctionType) -> None:
        self._tracer, self._offset = tracer, written.__code__.co_firstlineno - 1

    def module(self, tree: ast.FunctionDef) -> ast.Module:
        tree.decorator_list, tree.returns = [], None
        for argument in tree.args.args:
            argument.annotation = None
        self.generic_visit(tree)
        module = ast.Module(body=[tree], type_ignores=[])
        ast.increment_lineno(module, self._offset)
        return ast.fix_missing_locations(module)

    def visit_If(self, node: ast.If) -> ast.AST:
        return self._tested(node)

    def visit_While(self, node: ast.While) -> ast.AST:
        return self._tested(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        return self._tested(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        operands = [node.left, *node.comparators]
        texts = tuple(ast.unparse(one) for one in operands)
        site = self._site(node, texts, tuple(type(op) for op in node.ops))
        return self._tell("compare", site, *(self._later(self.visit(one)) for one in operands))

    def visit_Assign(self, node: ast.Assign) -> Any:
        site, targets = self._site(node.value), list(node.targets)
        self.generic_visit(node)
        return [node, *(told for target in targets for told in self._assigned(site, target))]

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        site, target = self._site(node), node.target
        self.generic_visit(node)
        return [node, *self._assigned(site, target)]

    def _assigned(self, site: int, target: ast.expr) -> list[ast.stmt]:
        if isinstance(target, ast.Tuple | ast.List):
            return [told for one in target.elts for told in self._assigned(site, one)]
        name = ast.unparse(target)
        value = ast.parse(name, mode="eval").body
        return [ast.Expr(self._tell("assigned", site, ast.Constant(name), value))]

    def _tested(self, node: Any) -> ast.AST:
        """A branch whose test is told as a whole, with what is asked in it."""
        site = self._site(node.test)
        test = self._asked(node.test)
        node.test = ast.Constant(True)  # so that what is below it is visited, and it is not once more
        self.generic_visit(node)
        node.test = self._tell("test", site, self._later(test))
        return node

    def _asked(self, node: ast.expr) -> Any:
        """A test, its parts told each by itself."""
        if isinstance(node, ast.BoolOp):
            node.values = [self._asked(value) for value in node.values]
            return node
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            node.operand = self._asked(node.operand)
            return node
        if isinstance(node, ast.Compare):
            return self.visit(node)
        site = self._site(node)
        return self._tell("truth", site, self.visit(node))

    def _site(self, node: ast.AST, operands: tuple[str, ...] = (), operators: tuple[Any, ...] = ()) -> int:
        line = getattr(node, "lineno", 1) + self._offset
        self._tracer.sites.append(Site(ast.unparse(node), line, operands, operators))
        return len(self._tracer.sites) - 1

    @staticmethod
    def _later(node: ast.expr) -> ast.Lambda:
        nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        return ast.Lambda(args=nothing, body=node)

    @staticmethod
    def _tell(verb: str, site: int, *arguments: ast.expr) -> ast.Call:
        told = ast.Attribute(value=ast.Name(id=TELL, ctx=ast.Load()), attr=verb, ctx=ast.Load())
        return ast.Call(func=told, args=[ast.Constant(site), *arguments], keywords=[])
