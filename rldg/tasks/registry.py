"""Tasks and stations by name (those that ship with the package) or by the path of a YAML of one's own."""

import re
from functools import cache
from importlib import resources
from pathlib import Path

from rldg.errors import UnknownNameError
from rldg.tasks.document import Document
from rldg.tasks.loader import existing, read_with_bases, select_variant, validate, variants
from rldg.tasks.station import Station
from rldg.tasks.task import Task
from rldg.tasks.world import WorldTask, installed

PATH = re.compile(r"(?P<file>.+\.ya?ml)(?::(?P<variant>\w+))?")


def shipped_folder() -> Path:
    """Folder of the YAML files that come with the package: inside the wheel, or at the top of a checkout."""
    inside = Path(str(resources.files("rldg"))) / "_tasks"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "tasks"


def load_task(name_or_path: str | Path) -> Task:
    """A task by name (`usb_a_insertion`, `usb_a_insertion_tight`) or path (`my.yaml`, `my.yaml:tight`).

    `metaworld_button_press` is the variant `button_press` of `worlds/metaworld.yaml`, a `WorldTask`.

    Raises `UnknownNameError` for a name or variant that does not exist, `TaskFileError` for a YAML that is wrong.
    """
    text = str(name_or_path)
    match = PATH.fullmatch(text)
    if match:
        return _made(read_with_bases(Path(match["file"]), _shipped_task), match["variant"])
    suite, _, variant = text.partition("_")
    if suite in _suites() and variant in variants(_suite(suite)):
        return _made(_suite(suite), variant)
    known = _tasks()
    if text not in known:
        raise UnknownNameError("task", text, [*known, *world_task_names()])
    file, variant = known[text]
    return _made(read_with_bases(file, _shipped_task), variant)


def load_station(name_or_path: str | Path) -> Station:
    """A station by name (`sim`) or by the path of a YAML. Raises like `load_task`."""
    text = str(name_or_path)
    if text.endswith((".yaml", ".yml")):
        file = Path(text)
    else:
        known = {path.stem: path for path in _listed(shipped_folder() / "stations")}
        if text not in known:
            raise UnknownNameError("station", text, known)
        file = known[text]
    return validate(Station, read_with_bases(file, _shipped_station))


def task_names() -> list[str]:
    """Names of all shipped tasks of the project's own and their variants, sorted."""
    return sorted(_tasks())


def world_task_names() -> list[str]:
    """Names of the tasks of those benchmarks that are installed."""
    return [f"{suite}_{name}" for suite in _suites() if installed(suite) for name in variants(_suite(suite))]


def _made(document: Document, variant: str | None) -> Task:
    return validate(WorldTask if "world" in document.data else Task, select_variant(document, variant))


def _tasks() -> dict[str, tuple[Path, str | None]]:
    """Name -> file and variant. A shipped file is named after its task."""
    found: dict[str, tuple[Path, str | None]] = {}
    for file in _listed(shipped_folder()):
        found[file.stem] = (file, None)
        for variant in variants(read_with_bases(file, _shipped_task)):
            found[f"{file.stem}_{variant}"] = (file, variant)
    return found


def _suites() -> list[str]:
    """Benchmarks whose tasks are described, installed or not."""
    return [file.stem for file in _listed(shipped_folder() / "worlds")]


@cache
def _suite(name: str) -> Document:
    """The tasks of a benchmark, as variants of one document: only these are tasks."""
    return read_with_bases(shipped_folder() / "worlds" / f"{name}.yaml", _shipped_task)


def _listed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.yaml") if not path.name.startswith("_"))


def _shipped_task(name: str) -> Path | None:
    return existing(shipped_folder(), name) or existing(shipped_folder() / "worlds", name)


def _shipped_station(name: str) -> Path | None:
    return existing(shipped_folder() / "stations", name)
