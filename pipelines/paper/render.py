"""Renders the results: per module Markdown, LaTeX and figures, one page for all, and the tables in README and docs.

    python -m pipelines.paper.render

Everything is made of the JSON files in `docs/paper` alone; a claim whose experiment has not been run is listed as that.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import tyro
from markupsafe import Markup

from pipelines.paper import MODULES, wording
from pipelines.paper.drawing import on_page, write_files
from pipelines.paper.results import read_results
from pipelines.results import fill
from rldg.errors import RldgError
from rldg.evaluation.page import write_page
from rldg.stage import write_durably

COMMITTED = Path("docs/paper")
PAGES = (Path("README.md"), Path("docs/paper.md"))  # whose tables are filled
BEGIN, END = "<!-- paper: python -m pipelines.paper.render -->", "<!-- end of paper -->"
CLAIMS = ("claim", "paper", "here", "verdict")

Results = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Args:
    """Arguments of the rendering."""

    # Folder of the results.
    results: Path = COMMITTED


def render(folder: Path) -> None:
    """Renders the results in `folder` into it; those that are committed also into the pages that show them."""
    results = read_results(folder, MODULES)
    folder.mkdir(parents=True, exist_ok=True)
    for name, result in results.items():
        write_durably(folder / f"{name}.md", module_markdown(result).encode())
        write_durably(folder / f"{name}.tex", module_latex(result).encode())
        for figure in result["figures"]:
            write_files(figure, folder / f"{name}_{figure['key']}")
    write_page(folder / "index.html", "pipelines.paper", "paper.html.j2", page_content(results))
    if folder == COMMITTED:
        for page in PAGES:
            fill(page, BEGIN, END, claims_markdown(results))


def claim_rows(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row per claim of a module that has been run: the claim, the paper, here, the verdict."""
    return [
        (
            outcome["says"],
            wording.paper_says(outcome),
            f"{wording.quantity(outcome['here'])}; {wording.basis(outcome['here'])}",
            wording.verdict(outcome, result["preliminary"]),
        )
        for outcome in result["outcomes"]
    ]


def rows_of(name: str, results: Results) -> list[tuple[str, ...]]:
    """The rows of a module, from its results, or from its claims where there are none."""
    if name in results:
        return claim_rows(results[name])
    claims = [asdict(claim) for claim in import_module(f"pipelines.paper.{name}").CLAIMS]
    return [(claim["says"], wording.paper_says(claim), wording.UNKNOWN, wording.NOT_RUN) for claim in claims]


def claims_markdown(results: Results) -> str:
    """The table of all claims of all modules."""
    rows = [(name.replace("_", "-"), *row) for name in MODULES for row in rows_of(name, results)]
    return wording.markdown(("experiment", *CLAIMS), rows)


def module_markdown(result: Mapping[str, Any]) -> str:
    """Claims and tables of one module."""
    parts = [f"# {result['title']}", wording.markdown(CLAIMS, claim_rows(result))]
    for table in result["tables"]:
        parts += [f"## {table['title']}", wording.markdown(table["columns"], table["rows"])]
    parts += result["notes"]
    parts += [f"![{figure['title']}]({result['module']}_{figure['key']}.svg)" for figure in result["figures"]]
    return "\n\n".join(parts) + "\n"


def module_latex(result: Mapping[str, Any]) -> str:
    """The same tables in LaTeX."""
    tables = [wording.latex(result["title"], CLAIMS, claim_rows(result))]
    tables += [wording.latex(table["title"], table["columns"], table["rows"]) for table in result["tables"]]
    return "\n\n".join(tables) + "\n"


def page_content(results: Results) -> dict[str, Any]:
    """What the page shows: all claims beside the paper's numbers, then each module that has been run."""
    return {
        "columns": CLAIMS,
        "claims": [(name, rows_of(name, results)) for name in MODULES],
        "sections": [_section(name, result) for name, result in results.items()],
    }


def _section(name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    provenance = result["provenance"]
    return {
        "name": name,
        "title": result["title"],
        "about": result["about"],
        "rules": [(outcome["says"], outcome["rule"], outcome["note"]) for outcome in result["outcomes"]],
        "tables": [
            {**table, "rows": [[wording.entry(value) for value in row] for row in table["rows"]]}
            for table in result["tables"]
        ],
        "figures": [(figure["title"], Markup(on_page(figure))) for figure in result["figures"]],
        "notes": result["notes"],
        "plan": provenance["plan"],
        "code_version": provenance["code_version"],
        "machines": provenance["machines"],
        "core_minutes": provenance["core_seconds"] / 60,
        "cells": _cells(provenance["cells"].values()),
    }


def _cells(records: Any) -> list[tuple[str, int, float]]:
    """Kind, count and minutes of the cells of each kind."""
    kinds: dict[str, list[float]] = {}
    for record in records:
        kinds.setdefault(record["cell"].partition("/")[0], []).append(record["seconds"])
    return [(kind, len(seconds), sum(seconds) / 60) for kind, seconds in kinds.items()]


def main(args: Args) -> None:
    """Renders."""
    render(args.results)


if __name__ == "__main__":
    try:
        main(tyro.cli(Args, description=__doc__))
    except RldgError as error:
        raise SystemExit(f"rldg: {error}") from None
