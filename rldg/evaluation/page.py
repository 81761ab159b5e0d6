"""Self-contained HTML pages: what a template makes of plain values, in the style that all pages share."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from rldg.stage import write_durably


def write_page(out: Path, package: str, template: str, content: Mapping[str, Any]) -> None:
    """Writes what `template` of `package` makes of `content`; it may include the templates here, such as the style."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package), jinja2.PackageLoader("rldg.evaluation")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    write_durably(out, environment.get_template(template).render(content).encode())


def data_uri(content: bytes, kind: str) -> str:
    """A file inside the page, by its MIME type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
