"""YAML read so that every value still knows the file and line it came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rldg.errors import TaskFileError

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FieldPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """The content of a YAML mapping; `places` maps the path of each value to "file:line" (lines from 1)."""

    data: dict[str, Any]
    places: dict[FieldPath, str]

    def place(self, path: FieldPath) -> str:
        """Where the value at `path` stands, or the nearest enclosing value that is present."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def part(self, key: str) -> "Document":
        """The mapping under `key`; empty if there is none. Raises `TaskFileError` if it is not a mapping."""
        data = self.data.get(key)
        if not isinstance(data, dict | None):
            raise TaskFileError(f"{self.place((key,))}: '{key}' must be a mapping, got {data!r}.")
        inside = {path[1:]: place for path, place in self.places.items() if path[:1] == (key,)}
        return Document(data or {}, {(): self.places[()]} | inside)

    def without(self, *keys: str) -> "Document":
        """The same without some of its top-level keys."""
        data = {key: value for key, value in self.data.items() if key not in keys}
        places = {path: place for path, place in self.places.items() if not path or path[0] not in keys}
        return Document(data, places)

    def overridden_by(self, other: "Document") -> "Document":
        """Deep merge: mappings are merged key by key, everything else in `other` replaces what stood here.

        A mapping of another `kind:` (another criterion of success, say) replaces the old one as a whole.
        """
        replaced: set[FieldPath] = set()
        data = _merged(self.data, other.data, (), replaced)
        kept = {
            path: place
            for path, place in self.places.items()
            if not any(path[:length] in replaced for length in range(1, len(path)))
        }
        return Document(data, kept | other.places)


def _merged(base: dict[str, Any], over: dict[str, Any], path: FieldPath, replaced: set[FieldPath]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        here = (*path, key)
        old = base.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and value.get("kind") in (None, old.get("kind")):
            result[key] = _merged(old, value, here, replaced)
        else:
            result[key] = value
            replaced.add(here)
    return result


def read_document(path: Path) -> Document:
    """Reads one YAML file. Raises `TaskFileError` with file and line for anything that is not one mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TaskFileError(f"{path}: there is no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TaskFileError(f"{path}: cannot be read as UTF-8 text ({error}).") from None
    try:
        loader = Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise TaskFileError(f"{path}: the file is empty; it must hold a mapping of field names to values.")
            places: dict[FieldPath, str] = {}
            data = _convert(loader, node, path, (), places, [])
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise TaskFileError(f"{path}:{line}: this is not valid YAML: {error.problem or error.context}.") from None
    except (yaml.YAMLError, ValueError) as error:  # a character or a scalar (2026-13-45) that YAML cannot hold
        raise TaskFileError(f"{path}: this is not valid YAML: {error}.") from None
    if not isinstance(data, dict):
        raise TaskFileError(f"{path}:1: the file must hold a mapping of field names to values, got {data!r}.")
    return Document(data, places)


def _convert(
    loader: Any, node: yaml.Node, file: Path, path: FieldPath, places: dict[FieldPath, str], above: list[yaml.Node]
) -> Any:
    """A node as plain data, its places noted. Keys stay text: YAML 1.1 would turn `on` and `y` into booleans."""
    line = node.start_mark.line + 1
    places.setdefault(path, f"{file}:{line}")
    if any(node is outer for outer in above):
        raise TaskFileError(f"{file}:{line}: an alias must not contain itself.")
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, key_line = key_node.value, key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise TaskFileError(f"{file}:{key_line}: a field's name must be text.")
            if key in mapping:
                raise TaskFileError(f"{file}:{key_line}: the field '{key}' is given twice.")
            places[(*path, key)] = f"{file}:{key_line}"
            mapping[key] = _convert(loader, value_node, file, (*path, key), places, [*above, node])
        return mapping
    if isinstance(node, yaml.SequenceNode):
        children = enumerate(node.value)
        return [_convert(loader, child, file, (*path, i), places, [*above, node]) for i, child in children]
    return loader.construct_object(node)
