"""Where arrays lie: the batch cut up over all devices, weights and optimiser over those of the axis "fsdp".

XLA derives the communication from the placement, so that nothing else knows how many devices there are: an update is
the same on one and on many, but for the order in which sums are taken.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from rldg.errors import UsageError

DATA, FSDP = "data", "fsdp"
SMALLEST = 1024  # numbers; smaller leaves are on every device, whose traffic would cost more than they take


def make_mesh(fsdp: int = 1, devices: Sequence[Any] | None = None) -> Mesh:
    """All devices (or those given) as a grid ("data", "fsdp") with `fsdp` columns.

    Raises `UsageError` if the devices do not divide that way.
    """
    devices = jax.devices() if devices is None else devices
    if len(devices) % fsdp:
        raise UsageError(f"fsdp must divide the number of devices: {len(devices)} cannot be split into {fsdp}s.")
    return Mesh(np.array(devices).reshape(-1, fsdp), (DATA, FSDP))


def check_batch(mesh: Mesh, batch_size: int, accumulate: int) -> None:
    """Raises `UsageError` unless every device gets as many samples of each part of a batch."""
    if batch_size % (mesh.size * accumulate):
        raise UsageError(
            f"A batch of {batch_size} in {accumulate} parts does not spread evenly over {mesh.size} devices; "
            f"valid are multiples of {mesh.size * accumulate}."
        )


def state_sharding(mesh: Mesh, state: Any) -> Any:
    """A sharding for each leaf (array or shape): its largest axis that divides is cut up over "fsdp"."""
    return jax.tree.map(lambda leaf: NamedSharding(mesh, _spec(leaf.shape, mesh.shape[FSDP])), state)


def _spec(shape: tuple[int, ...], pieces: int) -> PartitionSpec:
    axes = [axis for axis, size in enumerate(shape) if size % pieces == 0]
    if pieces == 1 or not axes or np.prod(shape) < SMALLEST:
        return PartitionSpec()
    largest = max(axes, key=lambda axis: shape[axis])
    return PartitionSpec(*[None] * largest, FSDP)


def batch_sharding(mesh: Mesh, axis: int = 0) -> NamedSharding:
    """Samples, along the given axis, over all devices."""
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, (DATA, FSDP)))


def to_devices(mesh: Mesh, batch: Any) -> Any:
    """A host's share of a batch (NumPy arrays with samples along axis 0) as arrays over all devices of all hosts."""
    sharding = batch_sharding(mesh)
    return jax.tree.map(lambda leaf: jax.make_array_from_process_local_data(sharding, leaf), batch)


def to_host(tree: Any) -> Any:
    """Whole NumPy arrays, on every host. All hosts must ask at the same time."""
    if jax.process_count() > 1:
        return multihost_utils.process_allgather(tree, tiled=True)
    return jax.device_get(tree)
