"""Tasks and stations: the YAML that one task definition for simulation and robot consists of."""

from rldg.tasks.registry import load_station, load_task, task_names, world_task_names
from rldg.tasks.station import Station
from rldg.tasks.task import Task

__all__ = ["Station", "Task", "load_station", "load_task", "task_names", "world_task_names"]
