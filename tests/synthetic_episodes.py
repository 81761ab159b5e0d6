"""Small made-up episodes for the tests of the data room."""

import dataclasses
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

from rldg.data.writer import DatasetWriter
from rldg.env.types import STATE_PARTS, ActionContract
from rldg.rollout.episode import Episode, EpisodeMetadata


def make_episode(index: int, length: int | None = None, size: int = 24, cameras=("wrist",)) -> Episode:
    """Episode `index`: everything in it follows from the index. Every third one fails by time-out."""
    rng = np.random.default_rng(index)
    length = length or 3 + index % 4
    success = index % 3 != 2

    def numbers(n):
        return rng.normal(size=(length, n)).astype(np.float32)

    # Smooth pictures, as JPEG likes them; red moves with time, blue is the episode's.
    ramp = np.linspace(0, 200, size).astype(np.uint8)
    images = np.zeros((length, size, size, 3), np.uint8)
    images[..., 0] = ramp + np.arange(length, dtype=np.uint8)[:, None, None]
    images[..., 1] = ramp[:, None]
    images[..., 2] = index % 200
    metadata = EpisodeMetadata(
        episode_id=f"synthetic-{index}",
        task="synthetic",
        task_hash="0" * 16,
        seed=index,
        success=success,
        failure_reason="" if success else "time_out",
        judged_by="insertion_depth",
        policy_kind="expert",
        penetration=0.25,
    )
    last = np.arange(length) == length - 1
    return Episode(
        metadata=metadata,
        instruction="Insert the plug – gently.",
        state={part: numbers(n) for part, n in STATE_PARTS.items()},
        raw_state={part: numbers(n) for part, n in STATE_PARTS.items()},
        privileged={"tcp_in_target": numbers(7)},
        images=dict.fromkeys(cameras, images),
        action=numbers(7),
        base_action=numbers(7),
        action_normalized=numbers(7),
        reward=(last & success).astype(np.float32),
        is_terminal=last & success,
        is_intervention=np.arange(length) % 2 == 0,
    )


def slow_episode(index: int) -> Episode:
    """The same, at the pace of a real collection."""
    time.sleep(0.02)
    return make_episode(index)


def growing_episode(index: int) -> Episode:
    """Episodes that take more and more room on disk."""
    return make_episode(index, length=20 + index, size=48)


def collect_slowly(folder: Path, episodes: int, workers: int = 1) -> None:
    """A collection as the command line would run it, to be killed."""
    from rldg.data.collection import collect
    from rldg.engines import make_engine

    collect(slow_episode, folder, episodes, configuration={"task": "synthetic"}, engine=make_engine(workers=workers))


def collect_with_little_room(folder: Path, episodes: int, limit: int, answer: Path) -> None:
    """A collection that may write no file above `limit` bytes, as on a full disk; `answer` gets the error's text."""
    from rldg.data.collection import collect
    from rldg.errors import StorageError

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        collect(growing_episode, folder, episodes, configuration={"task": "synthetic"})
    except StorageError as error:
        answer.write_text(str(error))


if __name__ == "__main__":  # a collection in a process of its own: FOLDER COUNT WORKERS
    folder, episodes, workers = sys.argv[1:]
    collect_slowly(Path(folder), int(episodes), int(workers))


def write_recorded(folder: Path) -> Path:
    """Four successes and two failures in `folder`, with the contract that a recording carries."""
    writer = DatasetWriter(folder)
    contract = json.dumps(dataclasses.asdict(ActionContract(0.015, 0.1, 10.0, "fixed")))
    for index in range(6):
        episode = make_episode(index, cameras=("wrist_1",))
        metadata = dataclasses.replace(episode.metadata, action_contract=contract)
        writer.write(index, dataclasses.replace(episode, metadata=metadata))
    return folder
