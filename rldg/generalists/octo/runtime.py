"""How JAX runs here: threads, compiled programs kept on disk, several hosts."""

import os
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from rldg.errors import UsageError


def prepare_jax(threads: int = 1) -> None:
    """Gives XLA so many CPU threads (0: one per core), if it has not started; turns its compilation cache on.

    Matrices of `octo-tiny` gain nothing from more than one, and the other core serves another training or the robot.
    """
    if threads:
        os.environ.setdefault("NPROC", str(threads))
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(Path.home() / ".cache" / "rldg" / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def join_hosts() -> None:
    """Makes this process one of several that train together, one per host.

    A cluster's scheduler (Slurm, GKE, TPU pods) says which; elsewhere JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and
    JAX_PROCESS_ID do. Raises `UsageError` if nobody does, or the others cannot be reached.
    """
    number, count = (os.environ.get(name) for name in ("JAX_PROCESS_ID", "JAX_NUM_PROCESSES"))
    try:
        jax.distributed.initialize(
            num_processes=int(count) if count else None, process_id=int(number) if number else None
        )
    except (ValueError, RuntimeError) as error:
        raise UsageError(
            "--distributed needs a scheduler that JAX knows, or JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and "
            f"JAX_PROCESS_ID: {error}"
        ) from None


def leads() -> bool:
    """Whether this host is the one that writes files."""
    return jax.process_index() == 0


def agreed(value: bool) -> bool:
    """The leading host's `value`, on every host. All hosts must ask at the same time."""
    return bool(multihost_utils.broadcast_one_to_all(np.array(value))) if jax.process_count() > 1 else value
