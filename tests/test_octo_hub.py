"""Checkpoints come from the hub once, whole and verified, and from the cache afterwards."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from rldg.errors import CheckpointError
from rldg.generalists.octo.checkpoint import load_checkpoint, save_params
from tests.hub_server import serving
from tests.octo_checkpoints import SMALL, write

ID = "some-lab/octo-small"
# Each id as given, then what became of it: folder and step, or the error.
SCRIPT = """
import json, sys
from rldg.errors import CheckpointError
from rldg.generalists import hub as bounds
from rldg.generalists.octo import hub
bounds.TIMEOUT = hub.TIMEOUT = 0.5
for text in sys.argv[1:]:
    name, _, step = text.partition("#")
    try:
        folder, found = hub.download_checkpoint(name, int(step) if step else None)
        print(json.dumps([str(folder), found]))
    except CheckpointError as error:
        print(json.dumps(str(error)))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A repository of two steps, its weights large enough to be kept by SHA-256."""
    folder = tmp_path_factory.mktemp("published")
    params = write(folder)
    save_params(folder, 20, params)
    (folder / "training.log").write_text("nobody needs this")
    return folder


@pytest.fixture(scope="module")
def hub(published):
    with serving(ID, published) as server:
        yield server


def ask(url, cache, *texts, **environment):
    """What becomes of each text in a process of its own, where the hub is at `url`."""
    variables = os.environ | {"HF_ENDPOINT": url, "HF_HOME": str(cache)} | environment
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, *texts], env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()], run.stderr


def test_a_hub_id_downloads_what_is_needed_once_and_serves_without_network(hub, published, tmp_path):
    hub.served.clear()
    (first, other, revision, wrong, step), shown = ask(
        hub.url, tmp_path, f"hf://{ID}", "hf://some-lab/other", f"hf://{ID}@nope", "hf://a b/c", f"hf://{ID}#15"
    )
    assert first[1] == 20
    assert load_checkpoint(first[0]).weight_hash == load_checkpoint(published).weight_hash
    needed = {"config.json", "dataset_statistics.json", "example_batch.msgpack", "20/default/checkpoint"}
    assert sorted(hub.served) == sorted(needed | {"20/default/_METADATA"})
    assert "Fetching" in shown  # a progress bar
    assert "is not on" in other
    assert "no revision 'nope'" in revision
    assert "owner/name" in wrong
    assert "step 15; it has [10, 20]" in step

    hub.served.clear()
    (again,), _ = ask(hub.url, tmp_path, f"hf:/{ID}")  # as a path would have it
    assert again == first
    assert not hub.served
    nowhere = "http://127.0.0.1:9"
    for offline in ({}, {"HF_HUB_OFFLINE": "1"}):
        (cached, absent, older), _ = ask(
            nowhere, tmp_path, f"hf://{ID}", "hf://some-lab/other", f"hf://{ID}#10", **offline
        )
        assert cached == first
        assert "out of reach" in absent
        assert str(tmp_path) in absent
        assert "step 10; it has [20]" in older


@pytest.mark.parametrize("file", ["20/default/checkpoint", "config.json"])
def test_what_arrives_damaged_is_noticed_and_fetched_again(file, hub, tmp_path):
    hub.damage = file
    (refused,), _ = ask(hub.url, tmp_path, f"hf://{ID}")
    assert "checksum" in refused
    hub.damage = ""
    ((folder, _),), _ = ask(hub.url, tmp_path, f"hf://{ID}")
    assert load_checkpoint(folder).model == SMALL


def test_a_hub_that_does_not_answer_is_given_up(hub, tmp_path):
    hub.stall = True
    try:
        (answer,), _ = ask(hub.url, tmp_path, f"hf://{ID}")
    finally:
        hub.stall = False
    assert "out of reach (ReadTimeout)" in answer


def test_a_folder_is_never_taken_for_a_hub_id(published, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"does not exist; .* hf://owner/name"):
        load_checkpoint("some-lab/octo-small")
    shutil.copytree(published, tmp_path / "some-lab" / "octo-small")
    assert load_checkpoint("some-lab/octo-small").model == SMALL
