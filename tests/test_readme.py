"""README's commands exist, parse, and are run somewhere; its links, and those of every page, lead somewhere."""

import importlib
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import tyro

from rldg.cli.main import EXAMPLES, VERBS, dispatch

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

# What runs each of README's commands for real; the cheap ones run here.
RUN_BY = {
    "make demo": "pipelines/demo.py",  # its verbs are those below
    "make test": ".ci/run",
    ". .venv/bin/activate": "",
    "rldg doctor": "tests/test_doctor.py",
    "rldg tasks": "tests/test_cli.py",
    "rldg train": "pipelines/demo.py",
    "rldg collect": "pipelines/demo.py",
    "rldg finetune": "pipelines/demo.py",
    "rldg evaluate": "pipelines/demo.py",
    "rldg report": "pipelines/demo.py",
}


def commands():
    """Lines of README's sh blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("command", commands())
def test_something_runs_every_command_of_readme(command):
    key = next((key for key in RUN_BY if command == key or command.startswith(f"{key} ")), None)
    assert key is not None, f"nothing says who runs '{command}'"
    runner = RUN_BY[key]
    if runner.endswith(".py") and key.startswith("rldg "):
        assert key.split()[1] in (ROOT / runner).read_text(encoding="utf-8")
    elif runner and key.startswith("make test"):
        assert key in (ROOT / runner).read_text(encoding="utf-8")


@pytest.mark.parametrize("line", [line for line in [*commands(), *EXAMPLES.splitlines()] if "rldg " in line])
def test_every_rldg_command_is_one_that_its_verb_takes(line):
    verb, *arguments = shlex.split(line)[1:]
    module = importlib.import_module(f"rldg.cli.{verb}")
    if hasattr(module, "VERBS"):
        module = importlib.import_module(f"rldg.cli.{verb}.{arguments.pop(0)}")
    arguments = arguments or [module.DEFAULT] if hasattr(module, "DEFAULT") else arguments
    config = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes)
    assert tyro.cli(module.Args, args=arguments, config=config)


def test_cheap_commands_of_readme_run(capsys):
    for command in ("rldg doctor", "rldg tasks"):
        assert command in commands()
        assert dispatch(command.split()[1:]) == 0
    assert "usb_a_insertion" in capsys.readouterr().out


def test_make_targets_that_pages_name_exist():
    database = subprocess.run(["make", "-pqn"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    targets = set(re.findall(r"^([a-z]+):", database.stdout, re.MULTILINE))
    for page in PAGES:
        for named in re.findall(r"`make ([a-z ]+?)(?: [A-Z]+=|`)", page.read_text(encoding="utf-8")):
            assert set(named.split()) <= targets, f"{page.name}: make {named}"


def test_verbs_that_pages_name_exist():
    for page in PAGES:
        for named in re.findall(r"^ {4}rldg ([a-z]+) ", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert named in VERBS, f"{page.name}: rldg {named}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_make_alone_prints_help():
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    run = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True, env=outside)
    assert "make .venv" in run.stdout
    assert run.stdout.startswith("usage: make TARGET")
