"""Renders the results: claims as a Markdown table, tables as Markdown and LaTeX, figures, and one HTML page.

    python -m pipelines.paper.render

Everything is made of the JSON files in `docs/paper` alone, README's and docs/paper.md's tables included.
"""

from pathlib import Path


def render(folder: Path) -> None:
    """Renders the results in `folder` into it."""
