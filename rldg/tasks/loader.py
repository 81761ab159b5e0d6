"""From a YAML file to a validated model; what is wrong is said with file, line, field and what would be valid."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rldg.errors import TaskFileError, UnknownNameError
from rldg.tasks.document import Document, FieldPath, read_document

Model = TypeVar("Model", bound=BaseModel)


def read_with_bases(path: Path, shipped: Callable[[str], Path | None], above: tuple[Path, ...] = ()) -> Document:
    """The file at `path`, laid over the file that its `extends:` names, and so on.

    `extends:` is looked for beside the file first, then by `shipped`. Raises `TaskFileError`.
    """
    path = Path(path)
    if path.resolve() in above:
        raise TaskFileError(f"{path}: 'extends' runs in a circle: {' -> '.join(p.name for p in (*above, path))}.")
    document = read_document(path)
    if "extends" not in document.data:
        return document
    name = document.data["extends"]
    place = document.place(("extends",))
    if not isinstance(name, str):
        raise TaskFileError(f"{place}: 'extends' must be the name of a file, got {name!r}.")
    base = existing(path.parent, name) or shipped(name)
    if base is None:
        raise TaskFileError(f"{place}: 'extends' names '{name}', which is neither beside {path.name} nor shipped.")
    below = read_with_bases(base, shipped, (*above, path.resolve()))
    return below.overridden_by(document.without("extends"))


def existing(folder: Path, name: str) -> Path | None:
    """The file `name` (with or without its `.yaml`) in `folder`, if there is one."""
    path = folder / (name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    return path if path.is_file() else None


def variants(document: Document) -> list[str]:
    """Names under `variants:`."""
    return sorted(document.part("variants").data)


def select_variant(document: Document, variant: str | None) -> Document:
    """The document without its `variants:`, laid under one of them, whose name is appended to the task's."""
    plain, known = document.without("variants"), variants(document)
    if variant is None:
        return plain
    if variant not in known:
        raise UnknownNameError(f"variant of {document.place(()).rpartition(':')[0]}", variant, known)
    chosen = plain.overridden_by(document.part("variants").part(variant))
    return Document(chosen.data | {"name": f"{plain.data.get('name')}_{variant}"}, chosen.places)


def validate(model: type[Model], document: Document) -> Model:
    """`model` made of the document. Raises `TaskFileError` with one line for each thing that is wrong."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        lines = [_sentence(model, document, detail) for detail in error.errors(include_url=False)]
        raise TaskFileError("\n".join(lines)) from None


def _sentence(model: type[BaseModel], document: Document, detail: ErrorDetails) -> str:
    path, owner, description = _locate(model, detail["loc"])
    field = ".".join(map(str, path)) or "the file"
    start = f"{document.place(path)}: {field}: "
    if detail["type"] == "extra_forbidden":
        nearest = difflib.get_close_matches(str(path[-1]), owner, n=1)
        hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
        return f"{start}there is no such field.{hint} Valid: {', '.join(sorted(owner))}."
    about = f" ({description})" if description else ""
    if detail["type"] == "missing":
        return f"{start}this field is missing{about}."
    if detail["type"] == "value_error":  # raised by our own validators, which name what they got
        return f"{start}{detail['msg'].removeprefix('Value error, ')}."
    return f"{start}{detail['msg'].replace('Input should', 'must')}, got {detail['input']!r}{about}."


def _locate(model: type[BaseModel], location: FieldPath) -> tuple[FieldPath, list[str], str]:
    """Path in the YAML, names valid beside its last part, and that field's description, of a pydantic location.

    The location of a value inside a discriminated union holds the chosen tag, which has no place in the YAML.
    """
    path: list[str | int] = []
    owner: list[str] = []
    description = ""
    kind: Any = model
    for key in location:
        members = [member for member in get_args(kind) if member is not type(None)] if _is_union(kind) else [kind]
        tagged = [m for m in members if len(members) > 1 and key in get_args(m.model_fields["kind"].annotation)]
        if tagged:
            kind = tagged[0]
            continue
        kind = members[0]
        path.append(key)
        owner, description = [], ""
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            owner = list(kind.model_fields)
            info = kind.model_fields.get(str(key))
            kind, description = (info.annotation, info.description or "") if info else (None, "")
        else:  # dict[str, value] or tuple[item, ...]
            kind = (get_args(kind) or (None,))[-1 if get_origin(kind) is dict else 0]
    return tuple(path), owner, description


def _is_union(kind: Any) -> bool:
    return get_origin(kind) is Union or type(kind).__name__ == "UnionType"
