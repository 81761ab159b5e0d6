"""Meta-World's 50 tasks (Yu et al. 2019, package `metaworld` 3): a Sawyer whose hand a mocap body drags along."""

import mujoco
import numpy as np
from gymnasium.spaces import Box
from metaworld.env_dict import ENV_CLS_MAP

from rldg import geometry
from rldg.env.worlds.edits import edited_model
from rldg.env.worlds.frames import SAWYER_HAND
from rldg.errors import TaskFileError, UnknownNameError
from rldg.robots.base import RobotState
from rldg.tasks.world import WorldTask

SUFFIX = "-v3"


class MetaworldSimulation:
    """Implements `Simulation`. The twist's rotation is not carried out; the gripper is the effort of the fingers.

    `known` is Meta-World's own observation (39) with the goal in it, before and after being of this and the last step.
    """

    known_size = 39

    def __init__(self, task: WorldTask):
        name = task.world.env + SUFFIX
        if name not in ENV_CLS_MAP:
            known = (key.removesuffix(SUFFIX) for key in ENV_CLS_MAP)
            raise UnknownNameError("environment of Meta-World", task.world.env, known)
        self._env = ENV_CLS_MAP[name]()
        self._env.max_path_length = task.horizon * task.world.repeat
        self._env._set_task_called = True  # instead of one of its fixed lists of scenes: scenes are drawn by seed
        self._env._freeze_rand_vec, self._env.seeded_rand_vec = False, True
        self._env._partially_observable = False
        vars(self._env).pop("sawyer_observation_space", None)  # cached, for an observation that hides the goal
        if task.world.edits:
            self._env.model = edited_model(self._env.fullpath, task.world.edits)
            self._env.data = mujoco.MjData(self._env.model)
            self._env.reset_mocap_welds()
        if task.world.starts:
            low, high = np.array(task.world.starts.low), np.array(task.world.starts.high)
            own = self._env._random_reset_space
            if low.shape != own.shape or high.shape != own.shape or (low > high).any():
                numbers = own.shape[0]
                raise TaskFileError(
                    f"Task '{task.name}': world.starts must be two corners of {numbers} numbers, low not above high."
                )
            self._env._random_reset_space = Box(low, high, dtype=np.float64)
        self._repeat = task.world.repeat
        self._unit = task.action_scale.translation / self._repeat  # metres of the set-point per step
        self._env.action_scale = self._unit
        self.model, self.data = self._env.model, self._env.data
        self._hand = self.model.body("hand").id

    def reset(self, generator: np.random.Generator) -> None:
        """Draws where the object and the goal are."""
        self._env.np_random = generator
        self._known, _ = self._env.reset()
        self._success = False

    def act(self, action: np.ndarray) -> np.ndarray:
        """Moves the hand's set-point in `repeat` equal parts; stops at the first that succeeds."""
        twist = geometry.rotate_twist(SAWYER_HAND, action[:6])
        effort = 1 - 2 * action[6]  # Meta-World: 1 closes, -1 opens
        benchmark = np.array([*twist[:3] / (self._repeat * self._unit), effort], np.float32)
        self._success = False
        for _ in range(self._repeat):
            self._known, _, _, _, said = self._env.step(benchmark)
            self._success = bool(said["success"])
            if self._success:
                break
        return np.array([*action[:3], 0, 0, 0, action[6]], np.float32)

    def state(self) -> RobotState:
        """Of the point between the fingertips."""
        velocity = np.empty(6)
        mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_BODY, self._hand, velocity, 0)
        pose = np.array([*self._env.tcp_center, *SAWYER_HAND[3:]])
        return RobotState(pose, np.roll(velocity, 3), np.zeros(3), np.zeros(3), float(self._known[3]))

    def success(self) -> bool:
        """Whether Meta-World's rule has held."""
        return self._success

    def known(self) -> np.ndarray:
        """Hand, fingers, objects, now and one step of the benchmark ago, then the goal."""
        return self._known

    def mark(self) -> None:
        """Puts the goal's marker where the goal is: the benchmark's last step has left it elsewhere."""
        for name, position in self._env._target_site_config:
            self._env._set_pos_site(name, position)
