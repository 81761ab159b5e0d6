"""What a station, and a person who judges, mean to verbs that run episodes."""

from collections.abc import Iterable

from rldg.errors import UsageError
from rldg.tasks import load_station
from rldg.tasks.task import Task


def is_simulated(station: str) -> bool:
    """Whether every process can have a station like this of its own. Raises like `load_station`."""
    return load_station(station).backend == "mujoco"


def check_workers(station: str, tasks: Iterable[Task], workers: int) -> None:
    """Raises `UsageError` where several processes would drive one arm, or ask one person for a judgement."""
    if workers == 1:
        return
    if not is_simulated(station):
        raise UsageError(f"Station '{station}' has one arm, so it takes --workers 1.")
    for task in tasks:
        if task.judged_by_person:
            raise UsageError(f"An operator judges '{task.name}', one episode at a time, so it takes --workers 1.")
