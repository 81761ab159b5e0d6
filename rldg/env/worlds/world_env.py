"""`WorldEnv`: a benchmark's environment as any other of the project's."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rldg import geometry
from rldg.env import base
from rldg.env.base import TaskEnv, raw_state, relative_state
from rldg.env.types import ActionContract, Observation, StepInfo, checked_action
from rldg.env.worlds.simplified import simplified
from rldg.env.worlds.simulation import Simulation
from rldg.env.worlds.view import placed_camera
from rldg.errors import UsageError
from rldg.robots.cameras import SimulatedCameras
from rldg.tasks.station import Station
from rldg.tasks.world import WorldTask, check_installed

KNOWN = "world"  # the privileged part that holds what the benchmark's scripted policies go by


class WorldEnv(TaskEnv):
    """One episode in a benchmark's world: until its own rule says success, or to the horizon (which truncates).

    Args:
        task: of a benchmark whose package is installed.
        station: the simulated one; a benchmark brings its own robot.
        cameras: True for every camera of the task, False for none, or their names.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - as gymnasium declares it

    def __init__(self, task: WorldTask, station: Station, cameras: bool | Sequence[str] = True):
        if station.backend != "mujoco":
            raise UsageError(f"Task '{task.name}' happens in a benchmark's simulator, not on station '{station.name}'.")
        check_installed(task)
        if isinstance(cameras, bool):
            cameras = tuple(task.cameras) if cameras else ()
        self.task, self.station = task, station
        self.simulation = _simulation(task)
        self.camera_sizes = {name: task.cameras[name].resolution for name in cameras}
        self._cameras = SimulatedCameras(
            simplified(self.simulation.model) if cameras else self.simulation.model,
            {name: task.cameras[name] for name in cameras},
            {name: placed_camera(task.world.views[name]) for name in cameras},
            markers=True,
        )
        self.render_mode = "rgb_array" if cameras else None
        self._contract = ActionContract.of(task)
        self.action_space = base.action_space()
        self.observation_space = base.observation_space(self.camera_sizes, {KNOWN: self.simulation.known_size})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins an episode; the same seed gives the same scene."""
        super().reset(seed=seed)
        self.simulation.reset(self.np_random)
        self._steps = 0
        state = self._state = self.simulation.state()
        self._origin = geometry.invert(state.pose)
        return self._observe(), base.info(StepInfo(raw_state=raw_state(state)))

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Carries out one normalised action (7); raises `ActionError` if it is not seven finite numbers."""
        before = self._state.pose
        carried_out = self.simulation.act(self._contract.to_metric(checked_action(action)))
        self._steps += 1
        self._state = self.simulation.state()
        success = self.simulation.success()
        truncated = not success and self._steps >= self.task.horizon
        step = StepInfo(
            raw_state=raw_state(self._state),
            action=carried_out,
            base_action=np.append(geometry.rotate_twist(before, carried_out[:6]), carried_out[6]).astype(np.float32),
            success=success,
            failure_reason="time_out" if truncated else "",
        )
        return self._observe(), float(success), success, truncated, base.info(step)

    def _observe(self) -> Observation:
        return {
            "state": relative_state(self._state, self._origin),
            "images": self._pictures(),
            "privileged": {KNOWN: self.simulation.known().astype(np.float32)},
        }

    def _pictures(self) -> dict[str, np.ndarray]:
        self.simulation.mark()
        return self._cameras.render(self.simulation.data)

    def render(self) -> np.ndarray:
        """The task's cameras side by side, (H, W, 3) uint8."""
        return np.concatenate(list(self._pictures().values()), axis=1)

    def close(self) -> None:
        """Frees the renderers."""
        self._cameras.close()


def _simulation(task: WorldTask) -> Simulation:
    match task.world.suite:  # optional packages
        case "metaworld":
            from rldg.env.worlds.metaworld import MetaworldSimulation

            return MetaworldSimulation(task)
        case "kitchen":
            from rldg.env.worlds.kitchen import KitchenSimulation

            return KitchenSimulation(task)
