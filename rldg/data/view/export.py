"""Writes the page with its data as a static folder, which any web server or a double click on `index.html` shows."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rldg.data.view import STATIC
from rldg.data.view.catalogue import Catalogue, parse_numbers
from rldg.data.writer import write_durably
from rldg.errors import DatasetError, UsageError
from rldg.stage import file_hash, stage


def export_page(folders: Sequence[Path], out: Path, *, episodes: str = "", overwrite: bool = False) -> dict[str, Any]:
    """Writes the page about `folders` to `out`: the page of the server, with its data as scripts.

    A browser lets a page from `file://` load scripts but no other data, so every answer of the server becomes a
    script that hands it over. `index.html` is written last: a folder that has one is whole.

    Args:
        folders: data sets.
        out: a folder of its own; a finished one is left as it is.
        episodes: which episodes of each split, see `parse_numbers`.
        overwrite: replaces an export of other episodes or of data sets that have changed.

    Returns:
        `episodes` and `broken`: how many were written, and how many could not be read.

    Raises:
        UsageError: `out` is, holds, or lies in a data set.
        StageError: `out` holds something else.
    """
    for folder in map(Path.resolve, folders):
        if out.resolve() in (folder, *folder.parents) or folder in out.resolve().parents:
            raise UsageError(f"The page cannot be written to {out}: the data set {folder} is there; name a new folder.")
    catalogue = Catalogue(folders, parse_numbers(episodes))
    configuration = {"folders": [str(folder) for folder in folders], "episodes": episodes}
    inputs = {str(folder): file_hash(folder) for folder in folders}
    with stage(out, "data view", configuration, inputs=inputs, overwrite=overwrite) as current:
        if not current.finished:
            current.result = _write(catalogue, out)
    return current.result


def _write(catalogue: Catalogue, out: Path) -> dict[str, Any]:
    index = catalogue.index()
    readable = [row for row in index["episodes"] if "error" not in row]
    for row in tqdm(readable, desc=out.name, unit="episode", dynamic_ncols=True):
        source, number = row["source"], row["number"]
        try:
            episode, frames = catalogue.episode(source, number), catalogue.frames(source, number)
        except DatasetError as error:
            row["error"] = str(error)
            continue
        _hand_over(out, f"{source}/{number}/episode", episode)
        _hand_over(out, f"{source}/{number}/frames", base64.b64encode(frames).decode())
    _hand_over(out, "index", index)
    files = sorted(path for path in STATIC.rglob("*") if path.is_file())
    for file in sorted(files, key=lambda path: path.name == "index.html"):
        content = file.read_bytes()
        if file.name == "index.html":
            content = content.replace(b'data-source="server"', b'data-source="files"')
        _write_file(out / file.relative_to(STATIC), content)
    broken = sum("error" in row for row in index["episodes"])
    return {"episodes": len(index["episodes"]) - broken, "broken": broken}


def _hand_over(out: Path, name: str, content: Any) -> None:
    """Writes what the server would answer to `data/NAME` as a call of the page's `receive`."""
    call = f"receive({json.dumps(name)}, {json.dumps(content, allow_nan=False)});\n"
    _write_file(out / "data" / f"{name}.js", call.encode())


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, content)
