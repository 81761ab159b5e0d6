"""`Recorder`: episodes as they go to disk, encoded where they ran, so that whoever collects has only to write them."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rldg.data.example import encode
from rldg.data.schema import episode_columns, features_json
from rldg.rollout.episode import Episode


@dataclass(frozen=True)
class Recorded:
    """An episode as it goes to disk, and what its collector counts."""

    record: bytes
    features: dict[str, Any]
    success: bool
    length: int  # control steps
    seconds: float  # that running and encoding took


@dataclass
class Recorder:
    """`recorder(index)` runs an episode and encodes it; picklable if `run_episode` is."""

    run_episode: Callable[[int], Episode]
    began: str  # when the collection began, for the metadata

    def __call__(self, index: int) -> Recorded:
        """The episode with this index."""
        started = time.monotonic()
        episode = self.run_episode(index)
        episode = replace(episode, metadata=replace(episode.metadata, time=self.began))
        record = encode(episode_columns(episode))
        seconds = time.monotonic() - started
        return Recorded(record, features_json(episode), episode.success, len(episode), seconds)
