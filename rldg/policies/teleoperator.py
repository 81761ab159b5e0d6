"""`Teleoperator`: a simulated operator with the habits of a person on a SpaceMouse. It is not a person."""

import hashlib
import json
from collections import deque
from dataclasses import asdict

import numpy as np

from rldg import geometry
from rldg.env.types import ACTION_DIMENSION, Observation
from rldg.errors import UnknownNameError
from rldg.policies.base import Policy, PolicyMetadata
from rldg.policies.habits import DEFAULT, PRESETS, TeleoperatorHabits
from rldg.policies.script import Script, Stage
from rldg.tasks.task import Task

# What is moved at a time, as axes of the frame of where it goes: straight up, to above it, about all axes, straight in.
GROUPS = {"lift": slice(2, 3), "travel": slice(0, 3), "turn": slice(3, 6), "insert": slice(2, 3)}
MARGIN = 0.006  # height of the plug's tip over the socket's mouth at which the operator aligns [m]
PRESS = 0.006  # how far beyond full insertion the operator aims [m]
USUAL_SCALE = 0.015  # metres per step of a fully pushed device that the habits were formed on
STREAM = 1  # keeps the operator's draws apart from the scene's, which descend from the same seed


class Teleoperator(Policy):
    """Sees late and a little wrong, thinks in one axis group at a time, and moves a noisy hand.

    Each control step: perceive (delay, bias) -> decide (which axes, how far, or a pause) -> move the hand (low-pass,
    tremor). All numbers are in `TeleoperatorHabits`; every draw descends from reset's seed.
    """

    def __init__(self, preset: str = DEFAULT, habits: TeleoperatorHabits | None = None) -> None:
        """With the habits of a named preset, or with `habits`. Raises `UnknownNameError` for an unknown preset."""
        if habits is None:
            if preset not in PRESETS:
                raise UnknownNameError("teleoperator preset", preset, PRESETS)
            habits = PRESETS[preset]
        self.habits = habits
        digest = hashlib.sha256(json.dumps(asdict(habits)).encode()).hexdigest()[:16]
        name = next((name for name, known in PRESETS.items() if known == habits), "custom")
        kind = "teleoperator" if name == DEFAULT else f"teleoperator:{name}"
        self.metadata = PolicyMetadata(kind=kind, weight_hash=digest)

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode: nothing seen yet, a hand at rest."""
        self._random = np.random.default_rng([seed, STREAM])
        self._rate = task.rate
        # Where the device moves the arm farther, it is pushed less.
        distance = self.habits.full_deflection_distance * (task.action_scale.translation / USUAL_SCALE)
        self._full_deflection = np.repeat([distance, self.habits.full_deflection_angle], 3)
        self._script = Script(task, MARGIN)
        self._stage = ""
        self._seen: deque[tuple[np.ndarray, float]] = deque(maxlen=self._steps(self.habits.reaction_delay) + 1)
        self._pause = 0  # steps
        self._hand = np.zeros(6)
        self._noise = np.zeros(6)

    def act(self, observation: Observation) -> np.ndarray:
        """One normalised action (1, 7), from the privileged poses and the felt force."""
        stage = self._script.stage(observation)
        if stage.name != self._stage:
            self._turn_to(stage)
        force = float(np.linalg.norm(observation["state"]["tcp_force"]))
        error, felt = self._perceive(stage.pose, force)
        intended = np.zeros(6) if stage.still else self._decide(stage, error, felt)
        action = np.full(ACTION_DIMENSION, stage.gripper, np.float64)
        action[:6] = geometry.unrotate_twist(stage.pose, self._move_hand(intended))
        return np.clip(action, -1, 1).astype(np.float32)[None]

    def _steps(self, seconds: float) -> int:
        return round(seconds * self._rate)

    def _turn_to(self, stage: Stage) -> None:
        """A fresh look at where something goes next."""
        self._stage, self._group = stage.name, "travel"
        self._lifting = self._stuck = 0  # steps
        self._touched = False
        self._seen.clear()
        self._look()

    def _look(self) -> None:
        """Where the operator believes that to be, as an offset (6) [m, rad] from the truth."""
        habits = self.habits
        self._bias = np.zeros(6)
        self._bias[:2] = self._random.normal(0, habits.position_bias, 2)
        self._bias[5] = self._random.normal(0, habits.yaw_bias)

    def _perceive(self, pose: np.ndarray, force: float) -> tuple[np.ndarray, float]:
        """Remaining motion (6) in the stage's frame, and the force as it was felt one reaction delay ago.

        What the operator's own hand has caused meanwhile is foreseen in part; contact is not.
        """
        position = np.concatenate([pose[:3], geometry.rotation_vector(pose)])
        self._seen.append((position, force))
        seen, felt = self._seen[0]
        foreseen = seen + self.habits.anticipation * (position - seen)
        return self._bias - foreseen, felt

    def _decide(self, stage: Stage, error: np.ndarray, felt: float) -> np.ndarray:
        """Intended deflection (6) in shares of full, in the stage's frame; zero while pausing."""
        habits = self.habits
        if self._pause > 0:
            self._pause -= 1
            return np.zeros(6)
        if self._lifting > 0:
            self._lifting -= 1
            return np.array([0, 0, -habits.saturation / 2, 0, 0, 0])
        if self._random.random() < habits.hesitation_rate / self._rate:
            self._pause = self._steps(self._random.exponential(habits.hesitation_time))
        entered = -error[2] > stage.entered
        self._react_to_contact(felt > habits.contact_force, entered)
        self._group = self._choose_group(stage, error, entered)
        goal = error.copy()
        goal[2] += stage.hover if self._group != "insert" else PRESS if stage.contact else 0.0
        deflection = np.zeros(6)
        axes = GROUPS[self._group]
        deflection[axes] = goal[axes] / self._full_deflection[axes]
        return np.clip(deflection, -habits.saturation, habits.saturation)

    def _react_to_contact(self, touching: bool, entered: bool) -> None:
        """Rests at first touch; having pressed for too long without entering, lifts off and looks again."""
        habits = self.habits
        if touching and not self._touched:
            self._touched = True
            self._pause = self._steps(self._random.exponential(habits.contact_dwell))
        self._stuck = self._stuck + 1 if touching and not entered else 0
        if self._stuck > self._steps(habits.patience):
            self._stuck, self._touched = 0, False
            self._lifting = self._steps(habits.lift_time)
            self._look()

    def _choose_group(self, stage: Stage, error: np.ndarray, entered: bool) -> str:
        """The group at hand until it is within tolerance, then the next that is not; insertion when all are."""
        habits = self.habits
        off = {
            "travel": np.hypot(*error[:2]) / (stage.slack * habits.lateral_tolerance),
            "turn": np.linalg.norm(error[3:]) / (stage.slack * habits.turn_tolerance),
        }
        if stage.is_low(-error):
            return "lift"
        if entered:
            return "insert"
        if self._group == "insert":  # already on the way down: only a clear error makes the operator stop
            off = {group: amount / 2 for group, amount in off.items()}
        wrong = [group for group, amount in off.items() if amount > 1]
        if self._group in wrong:
            return self._group
        return wrong[0] if wrong else "insert"

    def _move_hand(self, intended: np.ndarray) -> np.ndarray:
        """Deflection (6): the hand lags behind the intention and trembles while it pushes."""
        habits = self.habits
        self._hand += habits.hand_speed * (intended - self._hand)
        fresh = self._random.normal(0, 1, 6)
        memory = habits.noise_memory
        self._noise = memory * self._noise + np.sqrt(1 - memory**2) * fresh
        pushing = min(1.0, float(np.abs(self._hand).max()) / habits.saturation)
        return self._hand + habits.hand_noise * pushing * self._noise
