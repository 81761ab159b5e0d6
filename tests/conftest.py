"""What all tests share, with the processes that they start and with the next run: programs that JAX has compiled."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Points JAX at the cache before anything imports it; the limits are its environment variables."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
