"""A person with a device as a policy, and as the operator who takes over another one."""

import time
from typing import NoReturn

import numpy as np

from rldg import geometry
from rldg.env.types import Observation
from rldg.errors import DeviceError, DiscardedError, UsageError
from rldg.policies.base import Policy, PolicyMetadata, Verdict
from rldg.policies.hand import DOWN, Device, Hand
from rldg.policies.intervention import Intervention
from rldg.tasks.task import Task

PATIENCE = 600.0  # s until somebody has to begin an episode
POLL = 0.02  # s between looks at a device that is waited for
MEASURED = 2  # the step whose length shows whether the robot keeps time ...
SHARE = 0.8  # ... which it does if that is this share of a period
VERDICTS = {"success": Verdict(True), "failure": Verdict(False, "operator"), "stop": Verdict(False, "operator_stop")}


class Attention:
    """Asks a device once per control step, in real time, and keeps what the operator says of the episode."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._opened = False

    def begin(self, task: Task) -> None:
        """An episode begins. Raises `DeviceError` if the device is not there."""
        if not self._opened:
            self.device.open()
            self._opened = True
        self.device.begin(task)
        self.hand, self.verdict = Hand(), None
        self._pace, self._gripper = _Pace(1.0 / task.rate), task.gripper
        self._seen: Observation | None = None

    def attend(self, observation: Observation) -> Hand:
        """The hand when the next action is due. Asked again about the same observation, it says the same.

        Raises `DiscardedError` if the operator throws the episode away, `DeviceError` if nobody begins it.
        """
        if observation is self._seen:
            return self.hand
        self._seen = observation
        if not self._pace.begun:
            self._wait_for_begin(observation)
        self.device.show(observation, recording=True)
        self._pace.wait()
        hand = self.device.read()
        if hand.word == "discard":
            raise DiscardedError("The operator threw the episode away.")
        self.verdict = VERDICTS.get(hand.word)
        self.hand = Hand() if self.verdict else hand
        return self.hand

    def action(self, observation: Observation) -> np.ndarray:
        """The hand as a normalised action (1, 7) in the end-effector frame."""
        twist = geometry.unrotate_twist(observation["state"]["tcp_pose"].astype(np.float64), DOWN * self.hand.twist)
        gripper = -1.0 if self._gripper == "fixed" else self.hand.gripper
        return np.clip(np.append(twist, gripper), -1, 1).astype(np.float32)[None]

    def _wait_for_begin(self, observation: Observation) -> None:
        end = time.monotonic() + PATIENCE
        while self.device.waits:
            self.device.show(observation, recording=False)
            if self.device.read().word == "begin":
                return
            if time.monotonic() > end:
                raise DeviceError(f"Nobody began an episode with the {self.device.name} within {PATIENCE:g} s.")
            time.sleep(POLL)


class _Pace:
    """Makes control steps last as long as they should, where nobody else does.

    A robot keeps time itself, and two that wait on clocks of their own would put an action into the middle of a step.
    How long the second step takes without waiting here shows which of the two it is.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._count = 0
        self._keeps_time = False  # whether somebody else does
        self._acted = 0.0  # when the last action was given
        self._due = 0.0  # when the next one is

    @property
    def begun(self) -> bool:
        """Whether an action was asked for."""
        return self._count > 0

    def wait(self) -> None:
        """Until the next action is due; what is late stays late: nobody is to hurry."""
        now = time.monotonic()
        self._count += 1
        if self._count == MEASURED + 1:
            self._keeps_time = now - self._acted > SHARE * self._period
            self._due = self._acted + self._period
        if self._count > MEASURED and not self._keeps_time:
            time.sleep(max(0.0, self._due - now))
            self._due = max(self._due, now) + self._period
        self._acted = time.monotonic()


class DevicePolicy(Policy):
    """A person acts by a device, at the task's rate."""

    real_time = True

    def __init__(self, device: Device | Attention) -> None:
        self.attention = device if isinstance(device, Attention) else Attention(device)
        self.metadata = PolicyMetadata(kind=self.attention.device.name)

    @property
    def verdict(self) -> Verdict | None:
        """What the person says of the episode."""
        return self.attention.verdict

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode. Raises `DeviceError` if the device is not there."""
        self.attention.begin(task)

    def act(self, observation: Observation) -> np.ndarray:
        """One normalised action (1, 7), when it is due.

        Raises `DiscardedError` if the person throws the episode away.
        """
        self.attention.attend(observation)
        return self.attention.action(observation)

    def session(self) -> NoReturn:
        """Raises `UsageError`: a person has two hands, and they are on one device."""
        raise UsageError(f"A {self.metadata.kind} acts in one episode at a time, so it cannot be served.")


class Deflected:
    """The `TakeoverRule` of an `Intervention` by a device: while the hand is deflected, or a gripper button held."""

    def __init__(self, attention: Attention) -> None:
        self._attention = attention

    def reset(self, task: Task) -> None:
        """Begins an episode. Raises `DeviceError` if the device is not there."""
        self._attention.begin(task)

    def takes_over(self, observation: Observation) -> bool:
        """Whether the person acts, when the next action is due; one who has given a verdict holds the arm still."""
        return self._attention.attend(observation).acts or self._attention.verdict is not None


class _Operator(DevicePolicy):
    """The person whom `Deflected` watches."""

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Takes over in the middle of an episode: nothing begins."""


def overseen(policy: Policy, device: Device) -> Intervention:
    """`policy`, and a person who takes it over by a device."""
    attention = Attention(device)
    return Intervention(policy, _Operator(attention), Deflected(attention))
