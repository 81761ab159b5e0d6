"""The rooms of docs/architecture.md: who may import whom, and what no room may import at all."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "rldg").rglob("*.py"))

# Room -> rooms it may import besides itself and the root-level modules. Mirrors the table in docs/architecture.md.
MAY_IMPORT = {
    "tasks": set(),
    "sim": {"tasks"},
    "robots": {"tasks", "sim"},
    "env": {"tasks", "robots", "sim"},
    "policies": {"tasks", "env"},
    "rollout": {"tasks", "env", "policies"},
    "specialists": {"tasks", "env", "policies", "rollout"},
    "data": {"tasks", "env", "rollout"},
    "generalists": {"tasks", "env", "policies", "data"},
    "irevla": {"tasks", "env", "policies", "rollout", "specialists", "data", "generalists"},
    "evaluation": {"tasks", "env", "policies", "rollout", "data"},
    "classifiers": {"tasks", "robots", "env", "policies", "rollout", "specialists", "data", "evaluation"},
    "serving": {"tasks", "sim", "robots", "env", "policies", "rollout", "data"},
}
# In no room: `geometry`, `errors`, `listening`, `machine` and `engines` (which start worker processes) know nothing of
# the others and serve all; `stage` knows folders only; `workers` runs episodes on engines (`ray_engine` is one);
# `resolve` turns what a user types into a policy; `doctor` looks at the machine.
FOR_ALL = {"geometry", "errors", "stage", "listening", "machine", "engines"}
OVER_ROLLOUT = {"workers", "ray_engine", "resolve"}
MAY_USE_WORKERS = {"specialists", "classifiers", "data", "irevla", "evaluation", "cli"}


def imported(file):
    """Every module name that a file imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(file):
    parts = file.relative_to(ROOT / "rldg").parts
    return parts[0] if len(parts) > 1 else ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_room_imports_only_what_stands_above_it(file):
    room = room_of(file)
    if room in ("", "cli"):
        return
    assert room in MAY_IMPORT, f"rldg/{room} is in no row of the table"
    allowed = {room} | MAY_IMPORT[room] | FOR_ALL | (OVER_ROLLOUT if room in MAY_USE_WORKERS else set())
    for name in imported(file):
        if name.startswith("rldg.") and (other := name.split(".")[1]) != "__version__":
            assert other in allowed, f"rldg/{room} may not import rldg.{other}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_tensorflow_no_pickle_no_eval(file):
    loads_tensorflow = {"tensorflow", "distrax", "tensorflow_probability", "keras"}
    silently = ("flax.metrics.tensorboard", "flax.training.checkpoints", "torch.utils.tensorboard")
    for name in imported(file):
        assert name.split(".")[0] not in loads_tensorflow | {"pickle", "dill", "cloudpickle", "joblib"}, name
        assert not name.startswith(silently), name
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec"), f"line {node.lineno}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant), f"line {node.value.lineno}"
            assert node.value.value is False, f"line {node.value.lineno}"


def test_root_level_modules_are_those_that_the_architecture_names():
    found = {path.stem for path in (ROOT / "rldg").glob("*.py")} - {"__init__", "__main__"}
    assert found == FOR_ALL | OVER_ROLLOUT | {"doctor"}


def test_the_architecture_shows_this_table():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for room in {room_of(file) for file in FILES} - {""}:
        assert f"`rldg/{room}`" in text


def test_datasets_folder_never_shadows_the_package_of_that_name():
    assert not (ROOT / "datasets" / "__init__.py").exists()


@pytest.mark.parametrize(
    "file", sorted((ROOT / "datasets").rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT))
)
def test_builders_stand_on_the_data_room_alone(file):
    for name in imported(file):
        if name.startswith("rldg."):
            assert name.startswith(("rldg.data.", "rldg.errors.", "rldg.cli.output.")), name
