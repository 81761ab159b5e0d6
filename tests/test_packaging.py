"""What is installed is what is used, and what is installed works."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def name_of(requirement):
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower()


def distributions_imported_by(folder):
    """Names on the package index of everything that the files in a folder import, also inside functions."""
    modules = set()
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            modules.update(name.split(".")[0] for name in names)
    known = metadata.packages_distributions() | SHARED_NAMES
    foreign = modules - sys.stdlib_module_names - {"rldg", "pipelines", "rldg_episodes"}
    return {name_of(known.get(module, [module])[0]) for module in foreign}


SHARED_NAMES = {"google": ["protobuf"]}  # import names that several distributions put modules under
CARRIED_BY = {"pydantic-core": "pydantic"}  # separate distributions that are part of a declared one


def test_base_dependencies_are_exactly_what_rldg_imports():
    declared = {name_of(line) for line in PROJECT["dependencies"]}
    optional = {name_of(line) for lines in PROJECT["optional-dependencies"].values() for line in lines}
    imported = {CARRIED_BY.get(name, name) for name in distributions_imported_by("rldg")}
    undeclared = imported - declared - optional
    unused = declared - imported
    assert (undeclared, unused) == (set(), set()), "imported but not declared, declared but not imported"


def pins(file):
    lines = (ROOT / file).read_text().splitlines()
    return {name_of(line): line.split("==")[1] for line in lines if line and line[0] != "#"}


def test_every_dependency_has_a_tested_version_that_its_bounds_allow():
    pinned = pins("constraints.txt")
    for line in itertools.chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        if "sys_platform != 'linux'" not in line:
            assert name_of(line) in pinned, f"{line} has no pin in constraints.txt"


def test_the_environment_of_beam_has_what_data_sets_import_and_differs_where_it_must_only():
    tested, beam = pins("constraints.txt"), pins("datasets/requirements.txt")
    assert distributions_imported_by("datasets") | distributions_imported_by("rldg/data/publishing") <= set(beam)
    older = {"protobuf", "pillow", "pyarrow", "python-dateutil"}
    assert {name for name in beam.keys() & tested.keys() if beam[name] != tested[name]} == older


def test_the_version_has_one_source():
    import rldg

    assert "version" in PROJECT["dynamic"]
    assert metadata.version("rldg") == rldg.__version__


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (file,) = folder.glob("*.whl")
    return file


def test_the_wheel_carries_the_pages_and_the_licence_of_what_is_not_ours(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    page = ("index.html", "view.css", "js/app.js", "vendor/uPlot.iife.min.js", "vendor/uPlot.LICENSE")
    assert {f"rldg/data/view/static/{file}" for file in page} <= set(names)
    assert {f"rldg/serving/static/teleop/{file}" for file in ("index.html", "teleop.css", "teleop.js")} <= set(names)


def test_the_wheel_works_outside_the_repository(wheel, tmp_path):
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(tmp_path / "site"),
    ]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True, timeout=120)
    code = f"""
import sys
sys.path = [{str(tmp_path / "site")!r}] + [p for p in sys.path if p != {str(ROOT)!r}]
import rldg
assert rldg.__file__.startswith({str(tmp_path)!r}), rldg.__file__
from rldg.cli.main import dispatch
from rldg.doctor import tested_versions
assert tested_versions()["mujoco"].startswith("3.8.")
sys.exit(dispatch(["tasks", "list"]))
"""
    listed = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert listed.returncode == 0, listed.stderr
    shipped = [file.stem for file in (ROOT / "tasks").glob("*.yaml") if file.name[0] != "_"]
    assert all(f"\n{name} " in listed.stdout for name in shipped)
