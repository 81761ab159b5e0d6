"""Edits of data sets: what is kept is kept bit for bit, originals stay, and every episode can be traced back."""

import hashlib
import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_datasets.proto import tf_example_pb2

from rldg.cli.main import dispatch
from rldg.data.editing.drop import drop_episodes
from rldg.data.editing.expression import Condition
from rldg.data.editing.filter import filter_dataset
from rldg.data.editing.merge import merge_datasets
from rldg.data.editing.outcome import Outcome
from rldg.data.editing.relabel import relabel_dataset
from rldg.data.editing.source import open_source
from rldg.data.editing.split import split_dataset
from rldg.data.editing.subsample import subsample_dataset
from rldg.data.example import encode
from rldg.data.lineage import MOST_EDITS, read_lineage, write_lineage
from rldg.data.manifest import data_files, file_sha256, read_manifest, write_manifest
from rldg.data.reader import open_dataset
from rldg.data.tfrecord import frame
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError, RldgError, StageError, UnknownNameError, UsageError
from rldg.stage import stage
from rldg.tasks import load_task
from tests.synthetic_episodes import make_episode

TASKS = ("usb_a_insertion", "vga_insertion")
CONTRACT = '{"translation_scale": 0.01, "rate": 10.0}'
EPISODES = 14


def episode_of(index, task="", contract=CONTRACT, **metadata):
    """Numbers 0 .. 8 are of one task, the rest of another; every scene stands twice; 0 to 3 saw no intervention."""
    episode = make_episode(index)
    task = task or TASKS[index > 8]
    fields = {"task": task, "action_contract": contract, "seed": index // 2, **metadata}
    return replace(
        episode,
        metadata=replace(episode.metadata, **fields),
        is_intervention=episode.is_intervention & (index > 3),
    )


def written(folder, episodes, split="train"):
    writer = DatasetWriter(folder, split)
    for number, episode in enumerate(episodes):
        writer.write(number, episode)
    return folder


def tree(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def records(folder):
    return [place.record() for place in open_source(folder)]


def numbers(folder, split="train"):
    """From the made-up ids: which episodes of the original stand there."""
    return [int(entry.metadata["episode_id"].split("-")[-1]) for entry in open_dataset(folder, split).entries]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set that has to be the same, byte by byte, after all tests of this file."""
    folder = written(tmp_path_factory.mktemp("root") / "original", map(episode_of, range(EPISODES)))
    write_manifest(folder)
    before = tree(folder)
    yield folder
    assert tree(folder) == before


# --- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("success", [i for i in range(EPISODES) if i % 3 != 2]),
        ("success and steps < 5 and task == 'usb_a_insertion' and intervention_share == 0", [0, 1]),
        ("intervention_share > 0.5", [i for i in range(4, EPISODES) if (3 + i % 4) % 2]),
        ("failure_reason in ['time_out', 'jam'] or episode >= 12", [2, 5, 8, 11, 12, 13]),
        ("not success and seed % 2 == 1", [2, 11]),
        ("instruction.lower().startswith('insert') and 3 <= episode <= 4", [3, 4]),
        ("split == 'train' and max(steps, 5) == 5 and task.endswith('vga_insertion')", [9, 10, 12, 13]),
    ],
)
def test_filter_keeps_what_satisfies_the_condition_and_copies_it(folder, tmp_path, where, expected):
    out = tmp_path / "out"
    result = filter_dataset(folder, where, out)
    assert numbers(out) == expected
    assert records(out) == [open_dataset(folder).record(i) for i in expected]
    assert (result["episodes"], result["out_of"], result["changed"]) == (len(expected), EPISODES, 0)
    assert read_manifest(out) == {path.name: file_sha256(path) for path in data_files(out)}


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        ("sucess", UnknownNameError, "Did you mean 'success'"),
        ("success == true", UnknownNameError, "Did you mean 'True'"),
        ("success = True", UsageError, "invalid syntax.*valid is"),
        ("", UsageError, "is no expression"),
        ("steps <", UsageError, "is no expression"),
        ("success; steps", UsageError, "is no expression"),
        ("task < 3", UsageError, "'<' not supported between instances of 'str' and 'int'"),
        ("steps", UsageError, "gives 3, which is neither True nor False"),
        ("steps / (episode - episode) > 1", UsageError, "division by zero"),
        ("task == 'usb_insertion'", DatasetError, "task is 'usb_a_insertion' or 'vga_insertion'"),
        ("steps > 100", DatasetError, r"steps is 3 or 4 or 5 or 6\)"),
        ("9**9**9 > steps", UsageError, "uses Pow, which is not allowed"),
        ("round(5, -999999999) == 5", UnknownNameError, "'round'"),
        ("steps < 1 << 9999999", UsageError, "uses LShift"),
        ("task == 'a' * 999999999", UsageError, "'mul' takes numbers"),
        ("task == '%999999999d' % 1", UsageError, "'mod' takes numbers"),
        ("task == f'{1:999999999}'", UsageError, "uses JoinedStr"),
        ("task.ljust(999999999) == ''", UnknownNameError, "'ljust'.*Valid: endswith, lower"),
        ("task.__class__ == 1", UnknownNameError, "'__class__'"),
        ("[i for i in [1]] == [1]", UsageError, "uses ListComp"),
        ("(lambda: 1)() == 1", UsageError, "uses Lambda"),
        ("open('/etc/passwd') == 1", UnknownNameError, "'open'"),
        ("(" * 900 + "success" + ")" * 900, UsageError, "is no expression"),
        ("-" * 1900 + "steps > 1", UsageError, "cannot be evaluated|is no expression"),
        ("success or " * 900 + "success", UsageError, "at most 2000 characters, not 9907"),
        (r"task == '\d'", UsageError, "is no expression"),
    ],
)
def test_a_condition_that_means_nothing_is_one_sentence_at_once(folder, tmp_path, where, error, message):
    began = time.monotonic()
    with pytest.raises(error, match=message) as raised:
        filter_dataset(folder, where, tmp_path / "out")
    assert time.monotonic() - began < 5
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists(), "nothing is written before the condition is known to be good"


WORDS = [
    "success",
    "steps",
    "task",
    "3",
    "'a'",
    "0.5",
    "not",
    "and",
    "in",
    "if",
    "else",
    "len",
    "max",
    "None",
    "lambda",
]
SIGNS = ["(", ")", "[", "]", "{", "}", ",", ".", ":", "<", "==", "+", "*", "%", "**", ".lower()", "for"]


@settings(max_examples=200, deadline=5000)
@given(where=st.one_of(st.text(max_size=40), st.lists(st.sampled_from(WORDS + SIGNS), max_size=14).map(" ".join)))
def test_no_condition_gives_anything_but_a_verdict_or_a_sentence(where):
    values = {"success": True, "steps": 4, "task": "usb"}
    with suppress(UsageError):
        assert Condition(where, values)(values) in (True, False)


# --- properties -------------------------------------------------------------------------------------------------------


@settings(max_examples=5, deadline=None)
@given(longest=st.integers(3, 5), task=st.sampled_from(TASKS))
def test_a_filter_and_its_complement_are_the_whole(folder, tmp_path_factory, longest, task):
    where = f"steps <= {longest} or task == '{task}'"
    kept, rest = (tmp_path_factory.mktemp("out") for _ in range(2))
    filter_dataset(folder, where, kept)
    filter_dataset(folder, f"not ({where})", rest)
    assert sorted(numbers(kept) + numbers(rest)) == list(range(EPISODES))
    assert Counter(records(kept) + records(rest)) == Counter(records(folder))


@settings(max_examples=6, deadline=None)
@given(
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
    together=st.sampled_from([(), ("seed",), ("task", "seed"), ("task",)]),
    stratify=st.sampled_from([(), ("task",), ("task", "success")]),
)
def test_a_split_is_a_partition_and_merging_it_gives_the_original(
    folder, tmp_path_factory, share, seed, together, stratify
):
    root = tmp_path_factory.mktemp("root")
    arguments = {"validation": share, "seed": seed, "together": together, "stratify": stratify}
    result = split_dataset(folder, root / "divided", **arguments)
    train, val = numbers(root / "divided"), numbers(root / "divided", "val")
    assert sorted(train + val) == list(range(EPISODES))
    assert min(len(train), len(val)) >= 1
    assert (train, val) == (sorted(train), sorted(val))
    if not together:
        assert len(val) == pytest.approx(share * EPISODES, abs=1)
    else:
        entries = open_dataset(folder).entries
        sides = [{tuple(entries[i].metadata[name] for name in together) for i in side} for side in (train, val)]
        assert not sides[0] & sides[1]
    for split in ("train", "val"):
        filter_dataset(root / "divided", f"split == '{split}'", root / split)
    merge_datasets([root / "train", root / "val"], root / "merged")
    assert Counter(records(root / "merged")) == Counter(records(folder))
    assert result["splits"] == {"train": len(train), "val": len(val)}


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, EPISODES - 1), stratify=st.sampled_from([(), ("task",)]))
def test_samples_are_deterministic_nested_and_in_proportion(folder, tmp_path_factory, seed, count, stratify):
    root = tmp_path_factory.mktemp("root")
    for name, size in (("a", count), ("b", count), ("larger", count + 1)):
        subsample_dataset(folder, root / name, count=size, seed=seed, stratify=stratify)
    a, b = ({p.name[1:]: p.read_bytes() for p in (root / name).glob("*.tfrecord-*")} for name in "ab")
    assert a == b
    assert len(a) == count
    assert set(numbers(root / "a")) < set(numbers(root / "larger"))
    if stratify:
        of_first = sum(number <= 8 for number in numbers(root / "a"))
        assert of_first == pytest.approx(count * 9 / EPISODES, abs=1)


# --- the operations ---------------------------------------------------------------------------------------------------


def test_drop_takes_numbers_and_ranges(folder, tmp_path):
    drop_episodes(folder, ["3", "7", "10-12", "11"], tmp_path / "out")
    assert numbers(tmp_path / "out") == [0, 1, 2, 4, 5, 6, 8, 9, 13]
    for wrong in (["14"], ["5-14"], ["6-5"], ["three"], ["-1"], ["1-2-3"], ["٣"]):
        with pytest.raises(UsageError, match=r"episodes 0 to 13|neither an episode's number"):
            drop_episodes(folder, wrong, tmp_path / "wrong")
    with pytest.raises(DatasetError, match="all 14 episodes"):
        drop_episodes(folder, ["0-13"], tmp_path / "wrong")
    with pytest.raises(UnknownNameError, match=r"split of .*'vall'.*Valid: train"):
        drop_episodes(folder, ["0"], tmp_path / "wrong", split="vall")


def test_subsample_per_task_of_successes_and_by_share(folder, tmp_path):
    result = subsample_dataset(folder, tmp_path / "each", count=3, per=("task",), successes=True)
    tasks = Counter(entry.metadata["task"] for entry in open_dataset(tmp_path / "each").entries)
    assert tasks == dict.fromkeys(TASKS, 3)
    assert result["successes"] == 6
    assert subsample_dataset(folder, tmp_path / "half", share=0.5)["episodes"] == 7
    with pytest.raises(DatasetError, match="only 4 of the 5 episodes of vga_insertion"):
        subsample_dataset(folder, tmp_path / "wrong", count=5, per=("task",), successes=True)
    with pytest.raises(DatasetError, match="would be empty"):
        subsample_dataset(folder, tmp_path / "wrong", share=0.01)
    for wrong in ({}, {"count": 1, "share": 0.5}, {"count": 0}, {"share": 1.5}, {"share": float("nan")}):
        with pytest.raises(UsageError):
            subsample_dataset(folder, tmp_path / "wrong", **wrong)
    with pytest.raises(UnknownNameError, match="Did you mean 'task'"):
        subsample_dataset(folder, tmp_path / "wrong", count=1, stratify=("tusk",))


def test_split_says_what_cannot_be_divided(folder, tmp_path):
    one = filter_dataset(folder, "episode == 0", tmp_path / "one") and tmp_path / "one"
    with pytest.raises(DatasetError, match="belong together"):
        split_dataset(one, tmp_path / "wrong", validation=0.5)
    split_dataset(folder, tmp_path / "divided", validation=0.3)
    with pytest.raises(UsageError, match="has a split 'val' already"):
        split_dataset(tmp_path / "divided", tmp_path / "wrong", validation=0.3)
    for wrong in ({"validation": 1.0}, {"validation": 0.0}, {"validation": 0.1, "name": "a/b"}):
        with pytest.raises(UsageError):
            split_dataset(folder, tmp_path / "wrong", **wrong)


def test_other_splits_are_kept_and_a_third_can_be_made(folder, tmp_path):
    divided, thirds, less = tmp_path / "divided", tmp_path / "thirds", tmp_path / "less"
    split_dataset(folder, divided, validation=0.3)
    split_dataset(divided, thirds, validation=0.3, name="test")
    assert numbers(thirds, "val") == numbers(divided, "val")
    assert sorted(numbers(thirds) + numbers(thirds, "test")) == numbers(divided)
    drop_episodes(divided, ["0"], less)
    assert (numbers(less), numbers(less, "val")) == (numbers(divided)[1:], numbers(divided, "val"))
    drop_episodes(divided, ["0"], tmp_path / "val", split="val")
    assert numbers(tmp_path / "val", "val") == numbers(divided, "val")[1:]
    merged = merge_datasets([divided, relabelled_ids(divided, tmp_path / "again")], tmp_path / "merged")
    assert merged["splits"] == {split: 2 * len(numbers(divided, split)) for split in ("train", "val")}


def relabelled_ids(folder, target):
    """The same episodes under other ids."""
    for split in open_source(folder).splits:
        episodes = [stored.to_episode() for stored in open_dataset(folder, split)]
        renamed = [replace(e, metadata=replace(e.metadata, episode_id=f"n-{e.metadata.episode_id}")) for e in episodes]
        written(target, renamed, split)
    return target


def test_merge_takes_equal_counts(tmp_path):
    sizes = {"usb_a_insertion": 2, "vga_insertion": 5, "ethernet_insertion": 4}
    folders = [
        written(tmp_path / task, [episode_of(i, task, episode_id=f"{task}-{i}") for i in range(size)])
        for task, size in sizes.items()
    ]
    assert merge_datasets(folders, tmp_path / "all")["episodes"] == 11
    assert records(tmp_path / "all") == [record for folder in folders for record in records(folder)]
    merge_datasets(folders, tmp_path / "equal", equal_counts=True)
    tasks = [entry.metadata["task"] for entry in open_dataset(tmp_path / "equal").entries]
    assert tasks == [task for task in sizes for _ in range(2)]
    origins = read_lineage(tmp_path / "equal").episodes["train"]
    assert [origin.parent for origin in origins] == [0, 0, 1, 1, 2, 2]


def test_merge_refuses_what_does_not_go_together(folder, tmp_path):
    def other(name, **metadata):
        return written(tmp_path / name, [episode_of(0, **metadata)])

    twice = other("twice")
    with pytest.raises(DatasetError, match=r"'synthetic-0' is episode 0 of .*original and episode 0 of .*twice; drop"):
        merge_datasets([folder, twice], tmp_path / "out")
    assert merge_datasets([folder, twice], tmp_path / "allowed", repeated_ids=True)["episodes"] == EPISODES + 1
    faster = other("faster", episode_id="x", contract='{"translation_scale": 0.01, "rate": 20.0}')
    with pytest.raises(
        DatasetError, match=r"differ in what actions mean: rate is 10.0 in .*original, 20.0 in .*faster\."
    ):
        merge_datasets([folder, faster], tmp_path / "out")
    wide = written(tmp_path / "wide", [make_episode(0, size=32, cameras=("wrist", "side"))])
    with pytest.raises(DatasetError, match=r"image_side' is absent in .*original.*image_wrist' is Image .*24.*32"):
        merge_datasets([folder, wide], tmp_path / "out")
    png = written(tmp_path / "png", [episode_of(0, episode_id="y")]) / "features.json"
    png.write_text(png.read_text().replace('"jpeg"', '"png"'))
    with pytest.raises(DatasetError, match=r'different features: .*image_wrist.*"jpeg".*original, .*"png".*png\.$'):
        merge_datasets([folder, png.parent], tmp_path / "out")
    with pytest.raises(UsageError, match="two or more different"):
        merge_datasets([folder, folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- relabelling ------------------------------------------------------------------------------------------------------


def features_of(record):
    stored = tf_example_pb2.Example.FromString(record).features.feature
    return {name: feature.SerializeToString(deterministic=True) for name, feature in stored.items()}


@settings(max_examples=5, deadline=None)
@given(
    text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    outcome=st.sampled_from([None, Outcome(True), Outcome(False, "jam"), Outcome(False, "time_out")]),
    chosen=st.sets(st.integers(0, EPISODES - 1), min_size=1),
)
def test_relabelling_leaves_everything_else_bit_identical(folder, tmp_path_factory, text, outcome, chosen):
    out = tmp_path_factory.mktemp("root") / "out"
    relabel_dataset(folder, out, instructions=text, outcome=outcome, episodes=sorted(map(str, chosen)))
    changing = {"steps/language_instruction", *(outcome.columns(1) if outcome else ())}
    dataset = open_dataset(out)
    for number, (before, after) in enumerate(zip(records(folder), records(out), strict=True)):
        if number not in chosen:
            assert after == before
            continue
        old, new = features_of(before), features_of(after)
        assert new.keys() == old.keys()
        assert {name for name in old if new[name] != old[name]} <= changing
        assert dataset[number].steps["language_instruction"] == [text] * dataset.entries[number].length
    assert read_lineage(out).trace(min(chosen))[0][1].changed == tuple(sorted(changing))


@pytest.mark.parametrize(
    ("outcome", "reward", "terminal"),
    [(Outcome(True), 1, True), (Outcome(False, "jam"), 0, True), (Outcome(False, "time_out"), 0, False)],
)
def test_an_outcome_keeps_to_the_rules_of_rlds(folder, tmp_path, outcome, reward, terminal):
    result = relabel_dataset(folder, tmp_path / "out", outcome=outcome, where="steps > 3 and episode < 6")
    dataset = open_dataset(tmp_path / "out")
    for number in (1, 2, 3, 5):
        stored = dataset[number]
        steps, metadata = stored.steps, stored.metadata
        last = np.arange(len(stored)) == len(stored) - 1
        np.testing.assert_array_equal(steps["reward"], last * np.float32(reward))
        np.testing.assert_array_equal(steps["is_terminal"], last & terminal)
        np.testing.assert_array_equal(steps["discount"], 1 - steps["is_terminal"])
        assert (metadata["success"], metadata["failure_reason"]) == (outcome.success, outcome.reason)
        assert metadata["judged_by"] == "operator"
    assert result["changed"] == 4
    assert [entry.metadata["judged_by"] for entry in dataset.entries].count("operator") == 4


def test_an_outcome_is_said_in_full():
    for wrong in ((True, "jam"), (False, "")):
        with pytest.raises(UsageError, match="A failure has a reason"):
            Outcome(*wrong)


def test_paraphrases_are_drawn_per_episode_by_task_and_seed(folder, tmp_path):
    def texts(name, **arguments):
        relabel_dataset(folder, tmp_path / name, **arguments)
        return [stored.steps["language_instruction"][0] for stored in open_dataset(tmp_path / name)]

    drawn = texts("own", paraphrases=True, seed=1)
    for number, text in enumerate(drawn):
        task = load_task(TASKS[number > 8])
        assert text in (task.instruction, *task.paraphrases)
    assert len(set(drawn)) > 3
    assert texts("other", paraphrases=True, seed=2) != drawn
    mapping = {"usb_a_insertion": "Plug it in.", "vga_insertion": ["a", "b"]}
    drawn = texts("mapping", instructions=mapping)
    assert drawn[:9] == ["Plug it in."] * 9
    assert set(drawn[9:]) == {"a", "b"}
    with pytest.raises(DatasetError, match="no instruction for the task 'vga_insertion' of episode 9"):
        relabel_dataset(folder, tmp_path / "wrong", instructions={"usb_a_insertion": "x"})
    for wrong in ("", [], [""], [3], {"usb_a_insertion": []}, {}):
        with pytest.raises((UsageError, DatasetError)):
            relabel_dataset(folder, tmp_path / "wrong", instructions=wrong)
    with pytest.raises(UsageError, match="takes instructions, paraphrases, an outcome or"):
        relabel_dataset(folder, tmp_path / "wrong")
    assert not (tmp_path / "wrong").exists()


# --- lineage ----------------------------------------------------------------------------------------------------------


def test_every_episode_is_traced_back_through_all_edits(folder, tmp_path, capsys):
    filter_dataset(folder, "success", tmp_path / "a")
    drop_episodes(tmp_path / "a", ["0-2"], tmp_path / "b")
    relabel_dataset(tmp_path / "b", tmp_path / "c", instructions="x", episodes=["1"])
    split_dataset(tmp_path / "c", tmp_path / "d", validation=0.4)
    for split in ("train", "val"):
        for number, original in enumerate(numbers(tmp_path / "d", split)):
            trace = read_lineage(tmp_path / "d").trace(number, split)
            assert [Path(parent.path).name for parent, _ in trace] == ["c", "b", "a", "original"]
            assert {origin.episode_id for _, origin in trace} == {f"synthetic-{original}"}
            assert trace[-1][1].episode == original
    lineage = read_lineage(tmp_path / "a")
    (parent,) = lineage.parents
    assert (lineage.operation, lineage.parameters) == ("filter", {"where": "success"})
    assert (parent.name, parent.version, parent.episodes) == ("original", "1.0.0", {"train": EPISODES})
    lines = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
    of_content = "".join(line for line in lines if "tfrecord" in line or "features.json" in line)
    assert parent.sha256 == hashlib.sha256(of_content.encode()).hexdigest()
    assert read_lineage(folder) is None
    with pytest.raises(DatasetError, match="nothing of episode 99"):
        lineage.trace(99)
    assert dispatch(["data", "show", str(tmp_path / "d")]) == 0
    assert "drop of a 1.0.0" in capsys.readouterr().out
    assert dispatch(["data", "show", str(tmp_path / "d"), "0", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [Path(origin["path"]).name for origin in shown["origins"]] == ["c", "b", "a", "original"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"operation": 3}', b"[" * 9999, b'{"episodes": 1}']
)
def test_a_broken_lineage_is_named(tmp_path, content):
    (tmp_path / "lineage.json").write_bytes(content)
    with pytest.raises(DatasetError, match=r"lineage.json is not a lineage"):
        read_lineage(tmp_path)


def test_a_lineage_ends_before_it_could_not_be_read(folder, tmp_path):
    filter_dataset(folder, "episode == 0", tmp_path / "0")
    lineage = read_lineage(tmp_path / "0")
    for _ in range(MOST_EDITS - 1):
        lineage = lineage.model_copy(update={"parents": (lineage.parents[0].model_copy(update={"lineage": lineage}),)})
    write_lineage(tmp_path / "0", lineage)
    assert len(read_lineage(tmp_path / "0").summary()) == MOST_EDITS
    with pytest.raises(DatasetError, match="went through 50 edits"):
        filter_dataset(tmp_path / "0", "episode == 0", tmp_path / "1")


# --- durability -------------------------------------------------------------------------------------------------------


def test_a_killed_edit_is_completed_by_the_same_command(tmp_path):
    folder = written(tmp_path / "many", map(make_episode, range(60)))
    out = tmp_path / "killed" / "set"
    command = [sys.executable, "-m", "rldg", "data", "split", str(folder), "--validation", "0.3", "--out", str(out)]
    for target in (10, 50):  # within the first split, and within the second
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while len(list(out.glob("*.tfrecord-*"))) < target:
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
        process.wait()
        assert not (out / "SHA256SUMS").exists()
    (out / "set-train.tfrecord-00030.tmp").write_bytes(b"half an episo")
    for target in (out, tmp_path / "whole" / "set"):
        split_dataset(folder, target, validation=0.3)
    ours = {path.name: path.read_bytes() for path in data_files(out)}
    assert ours == {path.name: path.read_bytes() for path in data_files(tmp_path / "whole" / "set")}
    assert read_manifest(out) == {path.name: file_sha256(path) for path in data_files(out)}


def test_the_same_edit_is_reused_and_another_refused(folder, tmp_path):
    out = tmp_path / "out"
    filter_dataset(folder, "success", out)
    before = tree(out)
    assert filter_dataset(folder, "success", out)["episodes"] == 10
    assert tree(out) == before
    with pytest.raises(StageError, match=r"configuration\.where"):
        filter_dataset(folder, "not success", out)
    assert filter_dataset(folder, "not success", out, overwrite=True)["episodes"] == 4
    assert len(records(out)) == 4
    grown = written(tmp_path / "grown", map(episode_of, range(3)))
    filter_dataset(grown, "steps > 3", tmp_path / "other")
    DatasetWriter(grown).write(3, episode_of(3))
    with pytest.raises(StageError, match=r"inputs\.parent_0"):
        filter_dataset(grown, "steps > 3", tmp_path / "other")


def test_nothing_is_written_into_an_original_or_over_other_files(folder, tmp_path):
    for out in (folder, folder / "inside", folder.parent, folder / ".." / "original"):
        for overwrite in (False, True):
            with pytest.raises(UsageError, match="overlap"):
                filter_dataset(folder, "success", out, overwrite=overwrite)
    with stage(tmp_path / "busy", "data filter", {}), pytest.raises(StageError, match="in use by process"):
        filter_dataset(folder, "success", tmp_path / "busy")
    target = tmp_path / "full"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(StageError, match="no run of ours"):
            filter_dataset(folder, "success", target, overwrite=overwrite)
    assert [path.name for path in target.iterdir() if path.name != ".lock"] == ["notes.txt"]


# --- other people's data sets, other people's readers -----------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path):
    """Several episodes per file, splits of other names, no metadata, an unreadable column."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    features = tfds.features.FeaturesDict(
        {
            "steps": tfds.features.Dataset(
                {
                    "observation": {"natural_language_instruction": tfds.features.Text()},
                    "action": tfds.features.Tensor(shape=(3,), dtype=np.float64),
                    "notes": tfds.features.Sequence(tfds.features.Text()),
                }
            )
        }
    )
    (folder / "features.json").write_text(json.dumps(features.to_json()))
    for split, shards in {"train": ((2, 5), (3,)), "test": ((4, 1),)}.items():
        for shard, lengths in enumerate(shards):
            path = folder / f"kitchen-{split}.tfrecord-{shard:05d}-of-{len(shards):05d}"
            path.write_bytes(b"".join(frame(foreign_record(length)) for length in lengths))
    return folder


def foreign_record(length):
    return encode(
        {
            "steps/action": np.full((length, 3), length / 7),
            "steps/observation/natural_language_instruction": [b"open the door"] * length,
            "steps/notes": [b"seen"] * length,
        }
    )


def test_foreign_sets_are_edited_as_well(foreign, tmp_path):
    before = tree(foreign)
    filter_dataset(foreign, "steps > 2 and instruction == 'open the door'", tmp_path / "a")
    assert records(tmp_path / "a") == [foreign_record(n) for n in (4, 5, 3)]  # test, then train
    drop_episodes(foreign, ["1"], tmp_path / "b")
    assert [entry.length for entry in open_dataset(tmp_path / "b").entries] == [2, 3]
    assert len(open_dataset(tmp_path / "b", "test")) == 2
    relabel_dataset(foreign, tmp_path / "c", instructions="close the door", where="split == 'test'")
    assert (
        open_dataset(tmp_path / "c", "test")[0].steps["observation/natural_language_instruction"][3].startswith("close")
    )
    assert b"seen" in records(tmp_path / "c")[0], "what cannot be read is kept all the same"
    merge_datasets([foreign, tmp_path / "b"], tmp_path / "d")
    assert len(records(tmp_path / "d")) == 5 + 4
    assert subsample_dataset(foreign, tmp_path / "e", count=2, per=("instruction",))["splits"] == {
        "test": 2,
        "train": 2,
    }
    with pytest.raises(UnknownNameError, match=r"Valid: .*episode, instruction"):
        filter_dataset(foreign, "success", tmp_path / "f")
    with pytest.raises(DatasetError, match="it lacks steps/reward"):
        relabel_dataset(foreign, tmp_path / "f", outcome=Outcome(True))
    with pytest.raises(DatasetError, match="do not say what their task is"):
        relabel_dataset(foreign, tmp_path / "f", paraphrases=True)
    assert tree(foreign) == before


def test_a_folder_without_episodes_is_named(tmp_path, foreign):
    with pytest.raises(DatasetError, match="no data set"):
        filter_dataset(tmp_path / "none", "steps > 1", tmp_path / "out")
    for path in foreign.glob("*.tfrecord-*"):
        path.unlink()
    with pytest.raises(DatasetError, match="holds no episode"):
        filter_dataset(foreign, "steps > 1", tmp_path / "out")
    (foreign / "dataset_info.json").write_text("{]")
    with pytest.raises(DatasetError, match=r"dataset_info\.json (is not|cannot be read as) JSON"):
        filter_dataset(foreign, "steps > 1", tmp_path / "out")


def test_tensorflow_reads_an_edited_set(folder, tmp_path):
    out = tmp_path / "root" / "edited" / "1.0.0"
    relabel_dataset(folder, tmp_path / "labelled", instructions="Plug – gently.", outcome=Outcome(False, "jam"))
    split_dataset(tmp_path / "labelled", out, validation=0.2)
    script = Path(__file__).with_name("tfds_readback.py")
    target = tmp_path / "seen.npz"
    arguments = [str(out), str(tmp_path / "root"), "edited", str(target)]
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(target) as seen:
        for number, stored in enumerate(open_dataset(out)):
            for name in ("action", "reward", "discount", "is_terminal"):
                np.testing.assert_array_equal(seen[f"{number}/{name}"], stored.steps[name])
            assert seen[f"{number}/instruction"] == "Plug – gently."
            assert not seen[f"{number}/success"]
        assert len(seen["undecoded"]) == EPISODES, "both splits together"


# --- the command line -------------------------------------------------------------------------------------------------


def test_the_verbs_as_a_user_types_them(tmp_path, monkeypatch, capsys):
    """On episodes of the simulated robot, in one chain."""
    monkeypatch.chdir(tmp_path)
    Path("texts.yaml").write_text("usb_a_insertion: [Plug it in., Steck ihn ein – sanft.]\n")

    def rldg(line):
        assert dispatch([*line.split(), "--json"]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    rldg("collect usb_a_insertion --policy expert --episodes 4 --out data")
    assert dispatch(["data", "filter", "data", "success and steps < 100", "--out", "a"]) == 0
    assert "of 4 episodes (train" in capsys.readouterr().out
    assert rldg("data drop data --episodes 1 3 --out b")["episodes"] == 2
    assert rldg("data relabel data --instructions texts.yaml --out c")["changed"] == 4
    assert rldg("data relabel data --outcome failure --reason jam --episodes 0-1 --out d")["successes"] <= 2
    assert rldg("data split data --validation 0.25 --together task seed --out e")["splits"] == {"train": 3, "val": 1}
    assert rldg("data subsample data --count 3 --seed 7 --out f")["episodes"] == 3
    assert rldg("data merge b c --repeated-ids --out g")["episodes"] == 6
    assert rldg("data show g")["lineage"][1].startswith("drop of data 1.0.0 (data, 4 episodes): episodes ['1', '3']")
    assert {text for s in open_dataset("c") for text in s.steps["language_instruction"]} <= {
        "Plug it in.",
        "Steck ihn ein – sanft.",
    }
    for wrong in (
        "data relabel data --reason jam --out h",
        "data relabel data --instruction x --instructions texts.yaml --out h",
    ):
        with pytest.raises(UsageError):
            dispatch(wrong.split())
    with pytest.raises(RldgError, match="not YAML"):
        Path("broken.yaml").write_text("a: [")
        dispatch(["data", "relabel", "data", "--instructions", "broken.yaml", "--out", "h"])
