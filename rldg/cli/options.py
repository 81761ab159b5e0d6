"""Options that only some of a verb's formats take."""

from collections.abc import Collection
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from rldg.errors import UsageError

Kind = TypeVar("Kind")


def configured(kind: type[Kind], args: Any, *, shared: Collection[str], chosen: str) -> Kind:
    """A `kind` (a dataclass) of those arguments that were given, that is, are not None.

    Args:
        kind: dataclass whose fields are the options that `chosen` takes.
        args: the verb's arguments.
        shared: arguments that have nothing to do with `kind`.
        chosen: what the user typed to get `kind`, for the message, such as "--to rlds".

    Raises:
        UsageError: an option was given that `kind` does not have, or one that it needs was not.
    """
    given = {
        f.name: value for f in fields(args) if f.name not in shared and (value := getattr(args, f.name)) is not None
    }
    takes = {field.name: field.default is MISSING for field in fields(kind)}  # type: ignore[arg-type]
    foreign = [_flag(name) for name in given if name not in takes]
    if foreign:
        raise UsageError(f"{chosen} does not take {', '.join(foreign)}; it takes {', '.join(map(_flag, takes))}.")
    missing = [_flag(name) for name, needed in takes.items() if needed and name not in given]
    if missing:
        raise UsageError(f"{chosen} needs {' and '.join(missing)}, which the source does not say.")
    return kind(**given)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
