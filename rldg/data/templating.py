"""Text from the templates of this room: Python that is pasted, notes, cards."""

from typing import Any

import jinja2


def render(template: str, **content: Any) -> str:
    """`templates/<template>.j2` with `content` filled in. What data sets say enters Python as literals, never bare."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rldg.data"),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"literal": _literal, "keys": _keys, "cell": _cell}
    return environment.get_template(f"{template}.j2").render(content)


def _literal(value: Any) -> str:
    """A Python literal, text in double quotes where it can be."""
    plain = isinstance(value, str) and value.isprintable() and not set(value) & {'"', "\\"}
    return f'"{value}"' if plain else repr(value)


def _keys(column: str) -> str:
    """`observation/state` as `["observation"]["state"]`."""
    return "".join(f"[{_literal(part)}]" for part in column.split("/"))


def _cell(text: Any) -> str:
    """Text that stays within its cell of a Markdown table and holds no HTML."""
    return " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
