"""`collect`: episodes from a runner into a data set, to be interrupted, continued and extended at will."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from rldg.data.manifest import MANIFEST, write_manifest
from rldg.data.recorder import Recorder
from rldg.data.tally import Progress, Tally
from rldg.data.writer import DatasetWriter
from rldg.engines import Engine
from rldg.errors import DatasetError
from rldg.rollout.episode import Episode
from rldg.stage import stage
from rldg.workers import TIMEOUT, map_episodes

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
    engine: Engine | None = None,
    timeout: float = TIMEOUT,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fills the data set in `out` up to `episodes` episodes, or successes, and returns what stands there.

    The data set holds the first episodes of one endless sequence, whose member i is `run_episode(i)` whatever the
    engine and interruptions were. So an interrupted collection continues, and asking for more extends it. With
    `count_successes` it stops at the shortest beginning that holds that many successes; the failures in it are kept
    and labelled. A complete data set has a manifest of checksums. A progress bar goes to standard error.

    Args:
        run_episode: gives episode i, e.g. a `rldg.workers.EpisodeRunner`; picklable unless it runs in this process.
        out: folder of the data set; `rldg.data.writer.dataset_name` says what the data set will be called.
        episodes: how many episodes, or successes, the data set shall hold at least.
        configuration: what the episodes depend on; another one into the same folder is refused.
        seed: from which the episodes' seeds descend.
        inputs: name -> hash of what the episodes depend on beyond that, such as the policy's weights.
        count_successes: whether `episodes` counts successes only.
        engine: where episodes run, `rldg.engines.make_engine`; in this process by default.
        timeout: seconds after which an episode is ended and run again elsewhere.
        overwrite: empties the folder first.

    Returns:
        `episodes`, `successes` and `steps` of the whole data set.

    Raises:
        StageError: the folder belongs to another configuration or is in use.
        DatasetError: an episode on disk is broken, or `ATTEMPTS_PER_SUCCESS` attempts each gave too few successes.
        StorageError: the disk is full; what is finished stays, and the same call continues.
    """
    with stage(out, "collect", configuration, seed=seed, inputs=inputs, overwrite=overwrite) as current:
        writer = DatasetWriter(out)
        tally = Tally.of(writer, count_successes)
        if tally.reached < episodes:
            (out / MANIFEST).unlink(missing_ok=True)  # it would be stale from the next episode on
            limit = episodes * (ATTEMPTS_PER_SUCCESS if count_successes else 1)
            missing = (index for index in range(limit) if index not in tally.outcomes)
            recorder = Recorder(run_episode, current.began)
            with (
                closing(map_episodes(recorder, missing, engine, timeout=timeout)) as arriving,
                Progress(writer.name, episodes, tally) as progress,
            ):
                for index, recorded in arriving:
                    writer.write_record(index, recorded.record, recorded.features)
                    tally.add(index, recorded.success, recorded.length, len(recorded.record))
                    progress.show()
                    if tally.reached >= episodes:
                        break
        if tally.reached < episodes:
            raise DatasetError(
                f"{len(tally.outcomes)} episodes in {out} hold only {tally.reached} of the {episodes} successes asked "
                f"for; the policy succeeds too rarely."
            )
        if not (out / MANIFEST).exists():
            write_manifest(out)
        result = {"episodes": len(tally.outcomes), "successes": tally.successes, "steps": tally.steps}
        current.result = result
    return result
