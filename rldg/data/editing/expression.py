"""Conditions on episodes, such as `success and steps < 40`: Python's notation, evaluated by simpleeval.

Allowed are comparisons, `and`, `or`, `not`, `in`, arithmetic, text, numbers, lists, and the functions and methods
below. Powers, repetition of text and lists, formatting and comprehensions are not, so that no condition of
`MOST_CHARACTERS` can take long.
"""

import ast
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import simpleeval

from rldg.errors import UnknownNameError, UsageError

MOST_CHARACTERS = 2000
# Without `round`, which would take for ever over an integer and -999999999 digits.
FUNCTIONS: dict[str, Callable[..., Any]] = {"abs": abs, "len": len, "max": max, "min": min}
METHODS = ("startswith", "endswith", "lower", "upper", "strip")
_EXAMPLE = "success and steps < 40 and task == 'usb_a_insertion'"
_NODES = (
    ast.Name, ast.Constant, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Attribute,
    ast.List, ast.Tuple, ast.Set,
)  # fmt: skip
_OPERATORS = (
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.UAdd, ast.USub, ast.Not, ast.Eq, ast.NotEq, ast.Lt,
    ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot,
)  # fmt: skip
_ALLOWED = (*_NODES, *_OPERATORS, ast.And, ast.Or, ast.Load)


class Condition:
    """What an episode has to satisfy.

    Args:
        text: the condition, as a user wrote it.
        valid: the names that it may use.

    Raises:
        UnknownNameError: it uses another name, or a method that is not in `METHODS`.
        UsageError: it is not an expression, or one that is not allowed, or longer than `MOST_CHARACTERS`.
    """

    def __init__(self, text: str, valid: Iterable[str]) -> None:
        self.text = text
        self._tree = _parsed(text)
        known = set(valid)
        _check(self._tree, text, known)
        self.names = {node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)} & known
        self._evaluator = _evaluator()

    def __call__(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds where its `names` have these values. Raises `UsageError` if that cannot be said."""
        self._evaluator.names = values
        try:
            verdict = self._evaluator.eval(self.text, previously_parsed=self._tree)
        except (
            simpleeval.InvalidExpression, TypeError, ValueError, ArithmeticError, LookupError, RecursionError,
        ) as error:  # fmt: skip
            raise UsageError(f"The condition {self.text!r} cannot be evaluated: {_sentence(error)}.") from None
        if not isinstance(verdict, bool):
            raise UsageError(f"The condition {self.text!r} gives {verdict!r}, which is neither True nor False.")
        return verdict


def _parsed(text: str) -> ast.expr:
    if len(text) > MOST_CHARACTERS:
        raise UsageError(f"A condition has at most {MOST_CHARACTERS} characters, not {len(text)}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # doubtful notation, such as an unknown escape
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else _sentence(error)
        raise UsageError(f"The condition {text!r} is no expression ({reason}); valid is e.g. {_EXAMPLE!r}.") from None


def _check(tree: ast.expr, text: str, names: set[str]) -> None:
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED):
            raise UsageError(
                f"The condition {text!r} uses {type(node).__name__}, which is not allowed; valid is e.g. {_EXAMPLE!r}."
            )
        if isinstance(node, ast.Name) and node.id not in names | FUNCTIONS.keys():
            raise UnknownNameError(f"name in the condition {text!r}:", node.id, {*names, *FUNCTIONS, "True", "False"})
        if isinstance(node, ast.Attribute) and node.attr not in METHODS:
            raise UnknownNameError(f"method in the condition {text!r}:", node.attr, METHODS)


def _evaluator() -> simpleeval.SimpleEval:
    evaluator = simpleeval.EvalWithCompoundTypes(
        operators={kind: simpleeval.DEFAULT_OPERATORS[kind] for kind in _OPERATORS}
        | {ast.Mult: _of_numbers(operator.mul), ast.Mod: _of_numbers(operator.mod)},
        allowed_attrs={str: set(METHODS)},
    )
    evaluator.functions = FUNCTIONS
    handlers: Any = evaluator.nodes
    evaluator.nodes = {kind: handlers[kind] for kind in _NODES}
    return evaluator


def _of_numbers(operate: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """`*` and `%` without what they mean for text and lists: a few characters could ask for gigabytes there."""

    def checked(left: Any, right: Any) -> Any:
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            raise TypeError(f"'{operate.__name__}' takes numbers, not {left!r} and {right!r}")
        return operate(left, right)

    return checked


def _sentence(error: BaseException) -> str:
    return (str(error) or type(error).__name__).rstrip(".")
