"""`make_env`: the environment of any task."""

from collections.abc import Sequence

from rldg.env.base import TaskEnv
from rldg.tasks import Station, Task, load_station, load_task
from rldg.tasks.world import WorldTask


def make_env(task: Task | str, station: Station | str = "sim", cameras: bool | Sequence[str] = True) -> TaskEnv:
    """The environment of `task` at `station`, by name, path of a YAML, or as it is.

    `cameras` is True for every camera of the task, False for none, or their names. Raises `UsageError` where a
    benchmark is not installed, and like `load_task` and `load_station`.
    """
    task = load_task(task) if isinstance(task, str) else task
    station = load_station(station) if isinstance(station, str) else station
    if isinstance(task, WorldTask):
        from rldg.env.worlds.world_env import WorldEnv

        return WorldEnv(task, station, cameras)
    from rldg.env.robot_env import RobotEnv

    return RobotEnv(task, station, cameras)
