"""What several tests need."""

from typing import Any

from rldg.tasks import Task


def changed(task: Task, **fields: Any) -> Task:
    """`task` with some fields replaced."""
    return task.model_copy(update=fields)
