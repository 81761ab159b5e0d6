"""Errors that a user can act on: one sentence that says what was wrong, where, and what would have been valid."""

import copyreg
import difflib
from collections.abc import Iterable
from typing import Any


class RldgError(Exception):
    """Base of every error this package raises on purpose; the command line prints its sentence without a traceback."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Crosses processes as the sentence that it is, whatever its constructor takes."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # pyright: ignore[reportAttributeAccessIssue]


class UsageError(RldgError):
    """A command that cannot be carried out as it was typed; the command line exits with 2 instead of 1."""


class UnknownNameError(UsageError):
    """A name that is not registered; the message gives the nearest valid one and the whole list."""

    def __init__(self, kind: str, name: str, valid: Iterable[str]):
        choices = sorted(valid)
        nearest = difflib.get_close_matches(name, choices, n=1)
        hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
        super().__init__(f"Unknown {kind} '{name}'.{hint} Valid: {', '.join(choices)}.")


class TaskFileError(RldgError):
    """A task or station YAML that cannot be used."""


class ActionError(RldgError):
    """An action that must not reach a robot: wrong shape or not finite."""


class ContractError(RldgError):
    """A policy and a task that disagree about what an action means."""


class DatasetError(RldgError):
    """A data set on disk that is broken or is not what was asked for."""


class CheckpointError(RldgError):
    """A checkpoint that is missing, broken, or of another architecture."""


class TrainingError(RldgError):
    """A training that cannot go on, such as one whose loss is no number any more."""


class StorageError(RldgError):
    """A file that could not be written: the disk is full, or a quota is reached."""


class StageError(RldgError):
    """A run folder that belongs to another configuration, or is in use by another process."""


class StageChangedError(StageError):
    """A run folder that holds a run of another configuration or of other inputs."""


class DeviceError(RldgError):
    """A device of the operator's that is missing, or that nobody attends to."""


class DiscardedError(RldgError):
    """An episode that its operator has thrown away."""
