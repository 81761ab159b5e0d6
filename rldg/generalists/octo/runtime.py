"""How JAX runs here: one thread per process, and compiled programs kept on disk."""

import os
from pathlib import Path

import jax


def prepare_jax() -> None:
    """Gives XLA one thread, if it has not started, and turns the persistent compilation cache on.

    Matrices of these sizes gain nothing from more threads, and the other core serves another training or the robot.
    """
    os.environ.setdefault("NPROC", "1")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(Path.home() / ".cache" / "rldg" / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
