"""The `rldg` command as a user meets it: quick help, errors that say what to do, statuses that scripts can rely on."""

import importlib
import json
import re
import subprocess
import sys

import pytest

from rldg.cli import main as cli
from rldg.errors import DatasetError, UnknownNameError


def rldg(*arguments, **options):
    command = [sys.executable, "-m", "rldg", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


def imports_after(statement):
    """Top-level modules that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(run.stdout.splitlines()[-1].split())


HEAVY = {
    "jax",
    "flax",
    "torch",
    "mujoco",
    "numpy",
    "scipy",
    "gymnasium",
    "tensorflow",
    "tensorflow_datasets",
    "matplotlib",
}


def test_help_lists_every_verb_and_answers_without_loading_anything_heavy():
    run = rldg("--help")
    assert run.returncode == 0
    assert all(f"  {verb} " in run.stdout for verb in cli.VERBS)
    loaded = imports_after("from rldg.cli.main import dispatch; dispatch(['--help'])")
    assert not loaded & (HEAVY | {"tyro", "pydantic", "yaml"})


def test_importing_rldg_loads_nothing_but_the_standard_library():
    assert not imports_after("import rldg") & HEAVY


GROUPS = [verb for verb in cli.VERBS if hasattr(importlib.import_module(f"rldg.cli.{verb}"), "VERBS")]
EVERY_VERB = [verb for verb in cli.VERBS if verb not in GROUPS] + [
    f"{group} {verb}" for group in GROUPS for verb in importlib.import_module(f"rldg.cli.{group}").VERBS
]


@pytest.mark.parametrize("verb", EVERY_VERB)
def test_every_verb_has_help_with_an_example_and_takes_json(verb, capsys):
    with pytest.raises(SystemExit) as end:
        cli.dispatch([*verb.split(), "--help"])
    assert end.value.code == 0
    help_text = capsys.readouterr().out
    assert re.search(rf"Examples?\b.*:\s.*rldg {verb}", help_text, re.DOTALL)
    assert "--json" in help_text or "subcommands" in help_text


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_lists_its_verbs_and_knows_no_others(group, capsys):
    assert cli.dispatch([group, "--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {verb} " in listed for verb in importlib.import_module(f"rldg.cli.{group}").VERBS)
    assert cli.dispatch([group]) == 2
    with pytest.raises(UnknownNameError, match=f"verb of `rldg {group}` 'shwo'"):
        cli.dispatch([group, "shwo"])


@pytest.mark.parametrize("verb", EVERY_VERB)
def test_help_of_a_verb_loads_no_framework(verb):
    statement = f"""
from rldg.cli.main import dispatch
try:
    dispatch([*{verb!r}.split(), '--help'])
except SystemExit:
    pass
"""
    assert not imports_after(statement) & {"jax", "flax", "torch", "mujoco", "tensorflow"}


def test_an_unknown_verb_is_answered_with_the_nearest_one():
    run = rldg("colect")
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("rldg: Unknown verb 'colect'. Did you mean 'collect'?")
    assert run.stderr.count("\n") == 1


def test_no_verb_and_a_wrong_option_are_wrong_usage():
    assert rldg().returncode == 2
    wrong = rldg("tasks", "list", "--jsn")
    assert wrong.returncode == 2
    assert "--json" in wrong.stderr


def test_an_unknown_task_is_wrong_usage_and_a_wrong_file_a_failed_check(tmp_path):
    unknown = rldg("tasks", "show", "usb_insertion")
    assert unknown.returncode == 2
    assert "Did you mean" in unknown.stderr
    file = tmp_path / "mine.yaml"
    file.write_text("extends: usb_a_insertion\nname: mine\nhorizont: 50\n")
    wrong = rldg("tasks", "check", str(file))
    assert wrong.returncode == 1
    assert wrong.stdout == ""
    assert f"{file}:3: horizont: there is no such field. Did you mean 'horizon'?" in wrong.stderr
    file.write_text("extends: usb_a_insertion\nname: mine\nhorizon: 50\n")
    right = rldg("tasks", "check", str(file), "--json")
    assert right.returncode == 0
    assert json.loads(right.stdout.splitlines()[-1])["task"] == "mine"


def test_tasks_alone_lists_them_and_json_is_one_line_last_on_standard_output():
    assert "usb_a_insertion_tight" in rldg("tasks").stdout
    lines = rldg("tasks", "--json").stdout.splitlines()
    assert len(lines) == 1
    assert {"task": "usb_a_insertion", "seen": True}.items() <= next(
        task for task in json.loads(lines[0])["tasks"] if task["task"] == "usb_a_insertion"
    ).items()


def test_shown_task_is_a_task_file_again(tmp_path):
    file = tmp_path / "copy.yaml"
    file.write_text(rldg("tasks", "show", "usb_a_insertion").stdout)
    original, copy = (
        json.loads(rldg("tasks", "show", which, "--json").stdout)["hash"] for which in ("usb_a_insertion", str(file))
    )
    assert original == copy


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (DatasetError("The shard is broken."), 1, "rldg: The shard is broken.\n"),
        (UnknownNameError("task", "a", ["b"]), 2, "rldg: Unknown task 'a'. Valid: b.\n"),
        (FileNotFoundError(2, "No such file or directory", "x"), 1, "rldg: [Errno 2] No such file or directory: 'x'\n"),
        (KeyboardInterrupt(), 130, "rldg: interrupted; what is finished is kept, and the same command continues.\n"),
    ],
)
def test_errors_are_one_sentence_on_standard_error_and_a_status(error, status, said, monkeypatch, capsys):
    def fail(_):
        raise error

    monkeypatch.setattr(cli, "dispatch", fail)
    with pytest.raises(SystemExit) as end:
        cli.run()
    assert end.value.code == status
    assert capsys.readouterr() == ("", said)


def test_a_reader_that_leaves_early_is_no_error():
    shell = f"{sys.executable} -m rldg tasks show usb_a_insertion | true; exit ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode in (0, 141)
    assert run.stderr == ""
