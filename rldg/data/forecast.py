"""`forecast`: what a collection will take, from its first few episodes; nothing is written."""

import math
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from scipy.stats import binomtest
from tqdm import tqdm

from rldg.data.recorder import Recorder
from rldg.engines import Engine, InProcess
from rldg.rollout.episode import Episode
from rldg.workers import TIMEOUT, map_episodes


@dataclass(frozen=True)
class Forecast:
    """Expectations; None where no success was seen from which to tell how many episodes it takes."""

    tried: int  # episodes that were run
    successes: int  # of those
    success_share: float
    wilson95: tuple[float, float]  # its 95 % interval
    steps_per_episode: float
    bytes_per_episode: float
    seconds_per_episode: float  # of one worker
    start_seconds: float  # until workers, environments and policies are there
    episodes: int | None  # that the data set will hold
    seconds: float | None  # from the first start to the last episode
    bytes: int | None


def forecast(
    run_episode: Callable[[int], Episode],
    tried: int,
    episodes: int,
    *,
    count_successes: bool = False,
    engine: Engine | None = None,
    timeout: float = TIMEOUT,
) -> Forecast:
    """Runs the first `tried` episodes of a collection of `episodes` episodes, or successes, and extrapolates.

    Arguments are those of `rldg.data.collection.collect`. With more episodes than workers the start of the workers is
    told apart from the episodes; with fewer, the time is an upper bound.
    """
    engine = engine or InProcess()
    started = time.monotonic()
    with closing(map_episodes(Recorder(run_episode, ""), range(tried), engine, timeout=timeout)) as arriving:
        seen = [recorded for _, recorded in tqdm(arriving, total=tried, unit="episode", desc="dry run")]
    elapsed = time.monotonic() - started
    later = seen[engine.workers :] or seen  # the first episode of each worker waits for environment and policy
    each = statistics.fmean(recorded.seconds for recorded in later)
    size = statistics.fmean(len(recorded.record) for recorded in seen)
    start = max(0.0, elapsed - each * tried / engine.workers)
    successes = sum(recorded.success for recorded in seen)
    interval = binomtest(successes, tried).proportion_ci(method="wilson")
    needed: int | None = episodes
    if count_successes:
        needed = math.ceil(episodes * tried / successes) if successes else None
    return Forecast(
        tried=tried,
        successes=successes,
        success_share=successes / tried,
        wilson95=(float(interval.low), float(interval.high)),
        steps_per_episode=statistics.fmean(recorded.length for recorded in seen),
        bytes_per_episode=size,
        seconds_per_episode=each,
        start_seconds=start,
        episodes=needed,
        seconds=None if needed is None else start + each * needed / engine.workers,
        bytes=None if needed is None else round(size * needed),
    )
