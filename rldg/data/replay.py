"""`replay`: runs a simulated episode again from its seed and says whether the same comes out."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from rldg.data.example import Columns, decode
from rldg.data.images import decode_image
from rldg.data.reader import Dataset
from rldg.data.schema import episode_columns
from rldg.env.make import make_env
from rldg.env.types import ActionContract
from rldg.errors import DatasetError, UsageError
from rldg.resolve import load_policy
from rldg.rollout import rollout
from rldg.rollout.recorded import RecordedActions
from rldg.tasks import load_task

_IMAGE = "observation/image_"
_NEEDED = ("task", "task_hash", "seed", "backend", "station", "action_contract", "checkpoint_hash", "success")
# Repeated actions do not know who gave them.
_OF_THE_POLICY = {"steps/is_intervention"}


@dataclass(frozen=True)
class Difference:
    """A column that came out otherwise."""

    column: str  # without "steps/"
    step: int  # the first that differs, from 0
    largest: float | None  # over all steps, in the column's unit, grey levels for pictures; None for lengths and text


@dataclass(frozen=True)
class Replay:
    """What came out, in pairs of recorded and replayed."""

    steps: tuple[int, int]
    success: tuple[bool, bool]
    failure_reason: tuple[str, str]
    differences: tuple[Difference, ...]
    changed: tuple[str, ...]  # what the episode depended on and is another now; empty unless that was allowed

    @property
    def reproduced(self) -> bool:
        """Whether states, actions, rewards, pictures and outcome are the recorded ones, to the last bit."""
        return not self.differences and self.success[0] == self.success[1]


def replay(dataset: Dataset, index: int, *, policy: str = "", task: str = "", allow_changes: bool = False) -> Replay:
    """Runs episode `index` again: same task, scene and seed, with its recorded actions or with `policy`.

    Args:
        dataset: of simulated episodes.
        index: the episode's place in it.
        policy: what `rldg.resolve.load_policy` takes; it samples its actions if the recorded one did.
        task: name or YAML of the task, if it is not found under the recorded name.
        allow_changes: replay even if task or policy are not those of the recording.

    Raises:
        DatasetError: the episode does not say where it came from, or its task or policy have changed since.
        UsageError: it was recorded on a physical robot.
    """
    metadata = dataset.entries[index].metadata
    missing = [name for name in _NEEDED if name not in metadata]
    if missing:
        raise DatasetError(f"Episode {index} of {dataset.folder} cannot be replayed: it lacks {', '.join(missing)}.")
    if metadata["backend"] != "mujoco":
        raise UsageError(f"Episode {index} was recorded on '{metadata['station']}'; only simulation can be replayed.")
    columns = decode(dataset.record(index), dataset.fields)
    scene = load_task(task or metadata["task"])
    if policy:
        acting = load_policy(policy, stochastic=bool(metadata.get("stochastic", False)))
    else:
        contract = ActionContract(**json.loads(metadata["action_contract"]))
        acting = RecordedActions(columns["steps/action_normalized"], contract)
    pairs = [("task", (metadata["task_hash"], scene.hash))]
    if policy:
        pairs.append(("policy", (metadata["checkpoint_hash"], acting.metadata.weight_hash)))
    changed = tuple(f"{name} ({old or 'none'}, now {new or 'none'})" for name, (old, new) in pairs if old != new)
    if changed and not allow_changes:
        raise DatasetError(
            f"Episode {index} was recorded with another {' and '.join(changed)}; --allow-changes replays it even so."
        )
    cameras = [name.removeprefix(_IMAGE) for name in dataset.cameras if name.startswith(_IMAGE)]
    env = make_env(scene, metadata["station"], cameras=cameras)
    try:
        instruction = columns["steps/language_instruction"][0].decode()
        again = rollout(env, acting, metadata["seed"], instruction=instruction)
    finally:
        env.close()
    ignored = set() if policy else _OF_THE_POLICY
    return Replay(
        steps=(dataset.entries[index].length, len(again)),
        success=(bool(metadata["success"]), again.success),
        failure_reason=(metadata.get("failure_reason", ""), again.metadata.failure_reason),
        differences=_differences(columns, episode_columns(again), ignored),
        changed=changed,
    )


def _differences(there: Columns, here: Columns, ignored: set[str]) -> tuple[Difference, ...]:
    names = sorted(name for name in there.keys() & here.keys() - ignored if name.startswith("steps/"))
    found = (_difference(name.removeprefix("steps/"), there[name], here[name]) for name in names)
    return tuple(difference for difference in found if difference is not None)


def _difference(name: str, there: Any, here: Any) -> Difference | None:
    common = min(len(there), len(here))
    differing = [t for t in range(common) if not np.array_equal(there[t], here[t])]
    if differing:
        return Difference(name, differing[0], _largest(name, there, here, differing))
    return None if len(there) == len(here) else Difference(name, common, None)


def _largest(name: str, there: Any, here: Any, steps: list[int]) -> float | None:
    if name.startswith(_IMAGE):
        pairs = ((decode_image(there[t]), decode_image(here[t])) for t in steps)
    elif isinstance(there, list):
        return None
    else:
        pairs = ((there[t], here[t]) for t in steps)
    return max(float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max()) for a, b in pairs)
