"""What an update takes: transitions drawn from the replay, random numbers, and the next batches while it computes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from rldg.specialists.arrays import Arrays
from rldg.specialists.config import SpecialistConfig
from rldg.specialists.replay import Replay
from rldg.specialists.spec import AgentSpec


class Batch(NamedTuple):
    """Transitions, and the random numbers that the update uses in place of a random key."""

    observation: Arrays  # each part (batch, ...)
    next_observation: Arrays
    columns: Arrays  # action (batch, m); reward, continues, and of the gripper grasp, grasp_moves (batch,)
    random: Arrays  # noise, next_noise (batch, m); of pictures shift, next_shift (batch, cameras, 2)


def batch_shape(config: SpecialistConfig) -> tuple[int, int, int]:
    """Leading axes of what one call takes: groups of critic updates, updates of a group, transitions of an update."""
    return config.updates_per_call // config.actor_period, config.actor_period, config.batch_size


def columns(spec: AgentSpec) -> tuple[str, ...]:
    """The columns of transitions that an update reads beside the observations."""
    return "action", "reward", "continues", *(("grasp", "grasp_moves") if spec.grasps else ())


def draw(config: SpecialistConfig, spec: AgentSpec, replay: Replay, generator: np.random.Generator) -> Batch:
    """The batches of one call, with the leading axes of `batch_shape`."""
    shape = batch_shape(config)
    rows = replay.sample(generator, config.updates_per_call, config.batch_size, config.clones).reshape(shape)
    noise = generator.standard_normal((2, *shape, spec.actions), np.float32)
    random = {"next_noise": noise[0], "noise": noise[1]}
    if spec.cameras and config.augment:
        size = (2, *shape, len(spec.cameras), 2)
        shift = generator.integers(-config.augment, config.augment, size, np.int8, endpoint=True)
        random |= {"next_shift": shift[0], "shift": shift[1]}
    before, after = ({name: replay.take(name, at) for name in spec.parts()} for at in (rows, rows + 1))
    return Batch(before, after, {name: replay.take(name, rows) for name in columns(spec)}, random)


def example(config: SpecialistConfig, spec: AgentSpec) -> Batch:
    """A batch of nothing, for its shapes."""
    nothing = {name: (shape, kind) for name, (shape, kind) in spec.parts().items()}
    nothing |= dict.fromkeys(columns(spec), ((), np.float32)) | {"action": ((spec.actions,), np.float32)}
    nothing |= {"grasp": ((), np.int32), "intervention": ((), np.bool_)}
    replay = Replay()
    rows = {name: np.zeros((2, *shape), kind) for name, (shape, kind) in nothing.items()}
    replay.add(rows | {"last": np.array([False, True])}, prior=True)
    return draw(config, spec, replay, np.random.default_rng(0))


def staged(count: int, make: Callable[[], Batch]) -> Iterator[Batch]:
    """`count` batches in order, each made in a thread while the one before is used; none is made in vain."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(make) if count else None
        for index in range(count):
            assert following is not None
            batch = following.result()
            following = thread.submit(make) if index + 1 < count else None
            yield batch
