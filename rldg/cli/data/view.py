"""Shows data sets in the browser: episodes to filter and play, with plots, provenance, and two side by side.

Examples:
  rldg data view runs/data
  rldg data view runs/demo/data/rl runs/demo/data/teleoperator --port 8000
  rldg data view runs/data --export runs/page --episodes 0-9,12
"""

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from rldg.cli.output import emit
from rldg.errors import UsageError


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg data view`."""

    # Data sets: folders with `features.json`.
    folders: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DIR [DIR ...]")]
    # Numbers and ranges of episodes, such as 0-9,12; all of them when left out.
    episodes: str = ""
    # Write the page as a static folder instead of serving it.
    export: Path | None = None
    # Replace what an export of something else left in that folder.
    overwrite: bool = False
    # Address to listen on; any but this machine's own asks for the token that is printed with the page's address.
    host: str = "127.0.0.1"
    # Port to listen on, or 0 for a free one.
    port: int = 0
    # One line of JSON on standard output.
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0, also when it is interrupted, which is how serving ends; by exception 1 or 2."""
    from rldg.data.view.catalogue import Catalogue, parse_numbers  # TFDS: not for --help
    from rldg.data.view.export import export_page

    if not args.folders:
        raise UsageError("Name at least one data set: rldg data view DIR.")
    if args.export:
        result = export_page(args.folders, args.export, episodes=args.episodes, overwrite=args.overwrite)
        page = args.export / "index.html"
        broken = f" ({result['broken']} cannot be read)" if result["broken"] else ""
        emit(result | {"page": page}, args.json, f"{result['episodes']} episodes{broken}: {page}")
        return 0
    try:
        from rldg.data.view.server import serve
    except ModuleNotFoundError as error:
        raise UsageError(f"Serving the page needs {error.name}: pip install 'rldg[web]', or pass --export.") from None
    catalogue = Catalogue(args.folders, parse_numbers(args.episodes))

    def started(url: str) -> None:
        emit({"url": url}, args.json, f"{url}  (Ctrl-C ends it)")
        sys.stdout.flush()

    with contextlib.suppress(KeyboardInterrupt):
        serve(catalogue, args.host, args.port, started)
    return 0
