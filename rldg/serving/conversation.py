"""`Conversation`: one client's episodes with a policy, message by message."""

import time
from typing import Any

from rldg.env.types import ActionContract, Observation
from rldg.errors import ContractError
from rldg.policies.base import Policy
from rldg.policies.protocol import Reset, observation_of, prompt_of, reset_of
from rldg.policies.wire import MessageError
from rldg.tasks.task import Task


class Conversation:
    """Answers the messages of one client; what it is told of the episode holds until the next one begins.

    An episode begins when a message says `reset`, with the first observation, and when the instruction changes.

    Args:
        policy: a session of its own.
        task: what clients do that name no task; None: they have to.
    """

    def __init__(self, policy: Policy, task: Task | None = None) -> None:
        self._policy, self._task = policy, task
        self._begun = False
        self._instruction = ""  # of the episode

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """What the client is told: `actions` (n, 7) for an observation, `reset` where that is all that was asked.

        Raises `RldgError` if the message cannot be answered; the episode goes on as if it had not come.
        """
        reset, prompt, observation = reset_of(message), prompt_of(message), observation_of(message)
        if not observation and not reset:
            raise MessageError("The message holds no observation, such as observation/state, and no reset.")
        if observation:
            self._check(observation)
        if reset or not self._begun or (prompt is not None and prompt != self._instruction):
            self._begin(reset or Reset(), prompt)
        if not observation:
            return {"reset": True}
        started = time.perf_counter()
        try:
            actions = self._policy.act(observation)
        except KeyError as error:
            raise MessageError(f"The policy needs {error} in the observation.") from None
        timing = {"infer_ms": 1000 * (time.perf_counter() - started)}
        return {"actions": actions, "intervening": self._policy.intervening, "server_timing": timing}

    def _begin(self, reset: Reset, prompt: str | None) -> None:
        task = reset.task or self._task
        if task is None:
            raise MessageError("Say which task it is, in 'reset', or start the server with --task.")
        agree(self._policy, reset.action_contract or ActionContract.of(task))
        told = next((text for text in (reset.instruction, prompt) if text), task.instruction)
        self._policy.reset(task, told, seed=reset.seed)
        self._begun, self._instruction = True, prompt if prompt is not None else told

    def _check(self, observation: Observation) -> None:
        """Raises `MessageError` unless every picture that the policy needs is there, as large as it needs it."""
        images = observation.get("images", {})
        for camera, size in self._policy.metadata.image_sizes.items():
            if camera not in images:
                raise MessageError(f"The policy sees through '{camera}'; send observation/image_{camera}.")
            height, width = (size, size) if size else images[camera].shape[:2]
            if images[camera].shape != (height, width, 3):
                raise MessageError(
                    f"The policy needs '{camera}' as ({height}, {width}, 3); got {images[camera].shape}."
                )


def agree(policy: Policy, wanted: ActionContract) -> None:
    """Raises `ContractError` when the policy's actions mean something else than what is carried out."""
    given = policy.metadata.action_contract
    if given is not None and given != wanted:
        raise ContractError(f"The policy acts by {given}, but {wanted} is carried out.")
