"""Texts become the original's token ids, wherever the tokenizer's file lies."""

import json
import re
import shutil
from dataclasses import replace

import pytest
from sentencepiece import sentencepiece_model_pb2

from rldg.errors import CheckpointError
from rldg.generalists import hub
from rldg.generalists.octo.checkpoint import load_checkpoint
from rldg.generalists.octo.tokenizer import COPY, FileTokenizer, text_tokenizer
from tests import octo_golden as golden
from tests.octo_checkpoints import SMALL, write
from tests.octo_golden import SHARED, needs_shared

pytestmark = needs_shared
CONFIG = golden.DIFFUSION.language


@pytest.fixture
def cases():
    return json.loads((SHARED / "data" / "tokenize.json").read_text())


@pytest.fixture
def spiece(tmp_path):
    """The golden vocabulary as a SentencePiece model."""
    vocabulary = json.loads((SHARED / "t5-tiny" / "tokenizer.json").read_text())["model"]["vocab"]
    model = sentencepiece_model_pb2.ModelProto()
    kinds = {"<pad>": 3, "</s>": 3, "<unk>": 2}  # control symbols, and the unknown
    for piece, score in vocabulary:
        model.pieces.add(piece=piece, score=score, type=kinds.get(piece, 1))
    model.trainer_spec.unk_id, model.trainer_spec.eos_id = 2, 1
    model.trainer_spec.pad_id, model.trainer_spec.bos_id = 0, -1
    (tmp_path / "spiece.model").write_bytes(model.SerializeToString())
    return tmp_path / "spiece.model"


def check(tokenizer, cases):
    found = tokenizer([case["text"] for case in cases])
    assert found["input_ids"].tolist() == [case["input_ids"] for case in cases]
    assert found["attention_mask"].tolist() == [case["attention_mask"] for case in cases]


@pytest.mark.parametrize("checkpoint", ["checkpoints/diffusion", "checkpoints_alt/l1_ocdbt"])
def test_the_golden_checkpoints_find_their_tokenizer_and_its_ids(checkpoint, cases):
    check(text_tokenizer(CONFIG, SHARED / checkpoint), cases)


def test_sentencepiece_gives_the_same_ids(spiece, cases):
    check(FileTokenizer(CONFIG, spiece), cases)


def test_a_checkpoint_of_ours_carries_its_tokenizer(tmp_path, cases, monkeypatch):
    model = replace(SMALL, language=replace(SMALL.language, encoder="t5-tiny", vocabulary_size=132, max_length=16))
    model = replace(model, language=replace(model.language, t5=replace(model.language.t5, vocabulary_size=132)))
    write(tmp_path / "run", model, tokenizer=text_tokenizer(CONFIG, SHARED / "checkpoints" / "diffusion"))
    monkeypatch.setattr(hub, "download", None)  # not needed
    found = load_checkpoint(tmp_path / "run")
    tokenizer = text_tokenizer(found.model.language, found.folder)
    assert tokenizer.file == tmp_path / "run" / COPY / "tokenizer.json"
    check(tokenizer, cases)


def test_the_hub_is_asked_when_nothing_lies_near(tmp_path, cases, monkeypatch):
    asked = []

    def download(repository, patterns, revision=None):
        asked.append((repository, tuple(patterns)))
        return SHARED / "t5-tiny"

    monkeypatch.setattr(hub, "download", download)
    check(text_tokenizer(replace(CONFIG, encoder="t5-base"), tmp_path), cases)
    assert asked == [("t5-base", ("tokenizer.json", "spiece.model"))]


def test_a_tokenizer_that_is_nowhere_is_named_with_where_it_was_looked_for(tmp_path, monkeypatch):
    def download(repository, patterns, revision=None):
        raise CheckpointError("it is out of reach.")

    monkeypatch.setattr(hub, "download", download)
    with pytest.raises(CheckpointError, match=rf"'t5-base'.*{re.escape(str(tmp_path))}.*out of reach"):
        text_tokenizer(replace(CONFIG, encoder="t5-base"), tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.json", "spiece.model"])
def test_a_damaged_or_foreign_tokenizer_is_refused(name, spiece, tmp_path):
    source = spiece if name == "spiece.model" else SHARED / "t5-tiny" / name
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copyfile(source, copy / name)
    with pytest.raises(CheckpointError, match="127 tokens and the model's vocabulary 100"):
        FileTokenizer(replace(CONFIG, vocabulary_size=100), copy / name)
    for content in (b"", source.read_bytes()[:500]):
        (copy / name).write_bytes(content)
        with pytest.raises(CheckpointError, match="cannot be read as a tokenizer"):
            FileTokenizer(CONFIG, copy / name)
