"""What `--station` means to verbs that run episodes."""

from rldg.errors import UsageError
from rldg.tasks import load_station


def is_simulated(station: str) -> bool:
    """Whether every process can have a station like this of its own. Raises like `load_station`."""
    return load_station(station).backend == "mujoco"


def check_workers(station: str, workers: int) -> None:
    """Raises `UsageError` where several processes would drive one arm."""
    if workers != 1 and not is_simulated(station):
        raise UsageError(f"Station '{station}' has one arm, so it takes --workers 1.")
