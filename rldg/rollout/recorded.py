"""`RecordedActions`: a policy that repeats what an episode holds."""

import numpy as np

from rldg.env.types import ActionContract, Observation
from rldg.policies.base import Policy, PolicyMetadata
from rldg.tasks.task import Task


class RecordedActions(Policy):
    """Emits `actions` (T, 7), normalised, as one chunk; an environment that has not ended by then gets no motion."""

    def __init__(self, actions: np.ndarray, contract: ActionContract) -> None:
        self.metadata = PolicyMetadata(kind="recorded", action_contract=contract)
        self._actions = actions

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins at the first action."""
        self._next = self._actions

    def act(self, observation: Observation) -> np.ndarray:
        """All that is left, float32 (n, 7)."""
        chunk, self._next = self._next, np.zeros((1, self._actions.shape[1]), np.float32)
        return chunk
