"""`collect`: episodes from a runner into a data set, to be interrupted, continued and extended at will."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rldg.data.reader import open_dataset
from rldg.data.writer import DatasetWriter
from rldg.errors import DatasetError
from rldg.rollout.episode import Episode
from rldg.stage import stage, write_json
from rldg.workers import map_episodes

# Attempts per asked success before a policy that hardly ever succeeds is given up.
ATTEMPTS_PER_SUCCESS = 20


def collect(
    run_episode: Callable[[int], Episode],
    out: Path,
    episodes: int,
    *,
    configuration: Mapping[str, Any],
    seed: int = 0,
    inputs: Mapping[str, str] | None = None,
    count_successes: bool = False,
    workers: int = 1,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fills the data set in `out` up to `episodes` episodes, or successes, and returns what stands there.

    The data set holds the first episodes of one endless sequence, whose member i is `run_episode(i)` whatever the
    workers and interruptions were. So an interrupted collection continues, and asking for more extends it. With
    `count_successes` it stops at the shortest beginning that holds that many successes; the failures in it are kept
    and labelled. A progress bar goes to standard error.

    Args:
        run_episode: gives episode i, e.g. a `rldg.workers.EpisodeRunner`; picklable when `workers` > 1.
        out: folder of the data set; `rldg.data.writer.dataset_name` says what the data set will be called.
        episodes: how many episodes, or successes, the data set shall hold at least.
        configuration: what the episodes depend on; another one into the same folder is refused.
        seed: from which the episodes' seeds descend.
        inputs: name -> hash of what the episodes depend on beyond that, such as the policy's weights.
        count_successes: whether `episodes` counts successes only.
        workers: processes that run episodes.
        overwrite: empties the folder first.

    Returns:
        `episodes`, `successes` and `steps` of the whole data set.

    Raises:
        StageError: the folder belongs to another configuration or is in use.
        DatasetError: an episode on disk is broken, or `ATTEMPTS_PER_SUCCESS` attempts each gave too few successes.
    """
    with stage(out, "collect", configuration, seed=seed, inputs=inputs, overwrite=overwrite) as current:
        writer = DatasetWriter(out)
        entries = dict(zip(sorted(writer.indices), open_dataset(out).entries, strict=True)) if writer.indices else {}
        outcomes = {number: entry.success for number, entry in entries.items()}
        steps = sum(entry.length for entry in entries.values())
        limit = episodes * (ATTEMPTS_PER_SUCCESS if count_successes else 1)
        reached = _reached(outcomes, count_successes)
        unit = "success" if count_successes else "episode"
        with tqdm(
            total=max(episodes, reached), initial=reached, unit=unit, desc=writer.name, dynamic_ncols=True
        ) as bar:
            missing = (index for index in range(limit) if index not in outcomes)
            for index, episode in map_episodes(run_episode, missing, workers) if reached < episodes else ():
                writer.write(index, _stamped(episode, current.began))
                outcomes[index] = episode.success
                steps += len(episode)
                reached = _reached(outcomes, count_successes)
                bar.update(reached - bar.n)
                bar.set_postfix_str(f"{sum(outcomes.values()) / len(outcomes):.0%} of {len(outcomes)} successful")
                if reached >= episodes:
                    break
        result = {"episodes": len(outcomes), "successes": sum(outcomes.values()), "steps": steps}
        if reached < episodes:
            raise DatasetError(
                f"{len(outcomes)} episodes in {out} hold only {reached} of the {episodes} successes asked for; "
                f"the policy succeeds too rarely."
            )
        if current.finished and current.result != result:  # it was extended
            record = json.loads((out / "stage.json").read_text(encoding="utf-8"))
            write_json(out / "stage.json", record | {"result": result})
        current.result = result
    return result


def _reached(outcomes: Mapping[int, bool], count_successes: bool) -> int:
    """Episodes, or successes, from number 0 on up to the first gap."""
    unbroken = takewhile(outcomes.__contains__, count())
    return sum(outcomes[index] if count_successes else 1 for index in unbroken)


def _stamped(episode: Episode, began: str) -> Episode:
    return replace(episode, metadata=replace(episode.metadata, time=began))
