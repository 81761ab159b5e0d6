"""Batches for training: shuffled, mixed, augmented, read ahead, and the same whatever reads them.

`rldg.data.order` says which steps are read when; grain reads whole batches ahead, in threads. Batch t is a function of
configuration and t, so that a training resumes at any step, and neither the number of threads nor whether decoded
pictures are kept changes anything.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grain

from rldg.data.assemble import Assembler
from rldg.data.kept import KeptPictures
from rldg.data.order import Order
from rldg.data.steps import StepSource
from rldg.data.transform import ImageTransform
from rldg.errors import DatasetError
from rldg.machine import free_memory

logger = logging.getLogger(__name__)

Batch = dict[str, Any]


@dataclass(frozen=True)
class LoaderConfig:
    """How batches are made. All but `threads`, `prefetch` and `memory_limit` decides what is in them."""

    batch_size: int  # samples per batch and host
    images: Mapping[str, ImageTransform] = field(default_factory=dict)  # camera of the sources -> its treatment
    seed: int = 0  # of order and augmentation
    weights: tuple[float, ...] | None = None  # share of each source; by default its share of the steps
    window: int = 1  # W, observations per sample
    horizon: int = 1  # H, actions per sample
    action_dim: int = 0  # actions are padded to so many numbers; 0: as many as the widest source has
    state_dim: int = 0  # likewise for states
    augment: bool = True  # random crops and colours; False prepares pictures as for acting
    goals: float = 0.0  # share of samples whose task is a later picture of the episode instead of the instruction
    shuffle: bool = True
    epochs: int | None = None  # passes over each source; endless by default
    shard: int = 0  # this host's number ..
    shards: int = 1  # .. of so many: together they read what one host with a larger batch would
    threads: int = min(16, os.cpu_count() or 1)  # that read ahead; 0: read when asked
    prefetch: int = 0  # batches that are read ahead; 0: two per thread
    memory_limit: int | None = None  # bytes of pictures kept decoded; None: a quarter of what is free, over all shards

    def __post_init__(self) -> None:
        counts = (self.batch_size, self.window, self.horizon, self.shards, 1 if self.epochs is None else self.epochs)
        if min(counts) < 1 or self.seed < 0 or not 0 <= self.shard < self.shards:
            raise DatasetError(
                "Batch size, window, horizon, shards and epochs count from 1, seed and shard (below shards) from 0."
            )
        if not 0 <= self.goals <= 1:
            raise DatasetError(f"The share of goal pictures lies between 0 and 1, not at {self.goals}.")
        if self.goals and not self.images:
            raise DatasetError("Goal pictures need a camera.")

    @property
    def read_ahead(self) -> int:
        """Batches that are read ahead."""
        return (self.prefetch or 2 * self.threads) if self.threads else 0


@dataclass(frozen=True)
class Memory:
    """What a loader will hold, in bytes. It does not grow while reading."""

    numbers: int  # actions, states, places of pictures
    pictures: int  # decoded pictures that are kept
    batches: int  # being read, waiting, and in the trainer's hands

    @property
    def total(self) -> int:
        """All of it."""
        return self.numbers + self.pictures + self.batches

    def __str__(self) -> str:
        parts = {"numbers and places": self.numbers, "kept pictures": self.pictures, "batches": self.batches}
        listed = ", ".join(f"{name} {size / 2**20:,.0f} MiB" for name, size in parts.items())
        return f"{self.total / 2**20:,.0f} MiB ({listed})"


def expected_memory(sources: Sequence[StepSource], config: LoaderConfig) -> Memory:
    """What a loader of this configuration will hold; nothing is read for it."""
    numbers = sum(source.nbytes for source in sources) + sum(
        index.nbytes
        for index in {id(source.episodes.record_index): source.episodes.record_index for source in sources}.values()
    )
    frame = sum(3 * transform.height * transform.width for transform in config.images.values())
    kept = KeptPictures.size(sources, config.images)
    limit = free_memory() // (4 * config.shards) if config.memory_limit is None else config.memory_limit
    action_dim, state_dim = _dimensions(sources, config)
    sample = config.window * (frame + 4 * state_dim + 5 * config.horizon * action_dim + 16)
    sample += (frame + 4 * state_dim) * bool(config.goals)
    # Beside those read ahead, the trainer holds one batch and perhaps the one before.
    batches = config.batch_size * sample * (config.read_ahead + 2)
    return Memory(numbers + _order(sources, config).nbytes, kept if kept <= limit else 0, batches)


class Loader(Iterator[Batch]):
    """An iterator over batches of NumPy arrays, with a place that can be saved; see `make_loader`."""

    def __init__(self, batches: grain.MapDataset, config: LoaderConfig, identity: dict[str, Any]) -> None:
        self._batches = batches
        self.read_ahead = config.read_ahead
        self._reading = grain.ReadOptions(num_threads=config.threads, prefetch_buffer_size=config.read_ahead)
        self._identity = identity
        self._start(0)

    def __next__(self) -> Batch:
        batch: Any = next(self._iterator)
        self.step += 1
        return batch

    def batch(self, step: int) -> Batch:
        """Batch number `step`, read now; the place stays. Raises `DatasetError` if there are fewer."""
        if not 0 <= step < len(self._batches):
            raise DatasetError(f"There is no batch {step}; the last is {len(self._batches) - 1}.")
        found: Any = self._batches[step]
        return found

    def seek(self, step: int) -> None:
        """Goes on with batch number `step`."""
        self.close()
        self._start(step)

    def _start(self, step: int) -> None:
        self.step = step
        self._iterator = iter(self._batches[step:].to_iter_dataset(self._reading))

    def get_state(self) -> dict[str, Any]:
        """The place and what it is a place in, for a checkpoint (JSON)."""
        return {"step": self.step, **self._identity}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on where `get_state` was called. Raises `DatasetError` if this loader would give other batches."""
        other = [name for name, value in self._identity.items() if state.get(name) != value]
        if other:
            raise DatasetError(
                f"The saved place belongs to other batches: {other[0]} was {state.get(other[0])} "
                f"and is {self._identity[other[0]]}."
            )
        self.seek(int(state["step"]))

    def close(self) -> None:
        """Stops reading ahead."""
        self._iterator.close()


def make_loader(sources: Sequence[StepSource], config: LoaderConfig) -> Loader:
    """Batches drawn from `sources`. The expected memory is logged.

    With B samples, windows of W observations and chunks of H actions, as nested dictionaries of NumPy arrays:

        observation/image_<camera>         (B, W, height, width, 3) uint8
        observation/proprio                (B, W, P) float32, if a source has a state
        observation/timestep               (B, W) int32, from the beginning of the episode
        observation/timestep_pad_mask      (B, W) bool, False where the window reaches before the first step
        observation/task_completed         (B, W, H) bool, True beyond the end, or the goal
        observation/pad_mask_dict/<name>   (B, W) bool, False where a camera or the state is missing
        task/language_instruction          (B,) str
        task/pad_mask_dict/language_instruction  (B,) bool, False where it is empty
        task/image_<camera>                (B, height, width, 3) uint8, if `goals`: a later picture of the episode
        task/proprio, timestep, pad_mask_dict/<name>  likewise, if `goals`
        action                             (B, W, H, A) float32, the last action repeated beyond the end
        action_pad_mask                    (B, W, H, A) bool, False where the task is completed or the action padded
        dataset_name                       (B,) str

    The names are those of Octo's loader. With `goals`, a sample is told its task by a picture or by the instruction, as
    in Octo's `delete_task_conditioning`: the other is black or empty, and False in `task/pad_mask_dict`. A sample
    without instruction always has the picture.

    Raises:
        DatasetError: the sources have different cameras, or more numbers than `config` allows.
    """
    if not sources:
        raise DatasetError("A loader needs at least one source.")
    for source in sources:
        unknown = set(config.images) ^ set(source.cameras)
        if unknown:
            raise DatasetError(
                f"'{source.name}' has the cameras {sorted(source.cameras)}, not {sorted(config.images)}."
            )
    memory = expected_memory(sources, config)
    logger.info("The loader will hold %s.", memory)
    order = _order(sources, config)
    together = config.batch_size * config.shards
    assemble = Assembler(
        sources,
        dict(config.images),
        config.window,
        config.horizon,
        *_dimensions(sources, config),
        config.seed,
        config.augment,
        config.goals,
        KeptPictures(sources, config.images) if memory.pictures else None,
    )

    def load(step: int) -> Batch:
        first, last = step * together, min(step * together + together, len(order))
        return assemble(order.rows(first, last)[config.shard :: config.shards], first + config.shard, config.shards)

    identity = {
        "seed": config.seed,
        "shuffle": config.shuffle,
        "batch_size": config.batch_size,
        "shards": config.shards,
        "steps": [len(source) for source in sources],
        "weights": list(_weights(sources, config)),
    }
    batches = -((config.shard - len(order)) // together)
    return Loader(grain.MapDataset.range(batches).map(load), config, identity)


def _order(sources: Sequence[StepSource], config: LoaderConfig) -> Order:
    lengths = [len(source) for source in sources]
    return Order(lengths, _weights(sources, config), config.seed if config.shuffle else None, config.epochs)


def _weights(sources: Sequence[StepSource], config: LoaderConfig) -> Sequence[float]:
    """Of the sources, by default their steps."""
    weights = config.weights or [float(len(source)) for source in sources]
    if len(weights) != len(sources) or not min(weights) > 0:
        raise DatasetError(f"{len(sources)} sources need as many weights above 0, not {list(weights)}.")
    return weights


def _dimensions(sources: Sequence[StepSource], config: LoaderConfig) -> tuple[int, int]:
    """Numbers per action and per state in a batch."""
    found = []
    for what, given in (("action", config.action_dim), ("state", config.state_dim)):
        widest = max(sources, key=lambda source, what=what: getattr(source, f"{what}_dim"))
        size = getattr(widest, f"{what}_dim")
        if given and size > given:
            raise DatasetError(f"'{widest.name}' has {size} numbers per {what}, more than the {given} asked for.")
        found.append(given or size)
    return found[0], found[1]
