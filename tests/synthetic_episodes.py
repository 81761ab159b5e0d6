"""Small made-up episodes for the tests of the data room."""

import itertools
import sys
import time

import numpy as np

from rldg.data.schema import STATE_PARTS
from rldg.rollout.episode import Episode, EpisodeMetadata


def make_episode(index: int, length: int | None = None, size: int = 24, cameras=("wrist",)) -> Episode:
    """Episode `index`: everything in it follows from the index. Every third one fails by time-out."""
    rng = np.random.default_rng(index)
    length = length or 3 + index % 4
    success = index % 3 != 2

    def numbers(n):
        return rng.normal(size=(length, n)).astype(np.float32)

    ramp = np.linspace(0, 200, size).astype(np.uint8)  # smooth, as JPEG likes it
    images = {
        camera: np.stack(
            [
                np.stack(
                    [np.tile(ramp + t, (size, 1)), np.tile(ramp, (size, 1)).T, np.full((size, size), index % 200)], -1
                )
                for t in range(length)
            ]
        ).astype(np.uint8)
        for camera in cameras
    }
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
        images=images,
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


def in_order(run_episode, indices, workers):
    """Stands in for worker processes: `workers` episodes are begun before the first is handed over."""
    indices = iter(indices)
    while batch := [(i, run_episode(i)) for i in itertools.islice(indices, workers)]:
        yield from batch


if __name__ == "__main__":  # a collection of its own process: FOLDER COUNT
    from pathlib import Path

    from rldg.data.collection import collect

    collect(
        slow_episode, Path(sys.argv[1]), int(sys.argv[2]), map_episodes=in_order, configuration={"task": "synthetic"}
    )
