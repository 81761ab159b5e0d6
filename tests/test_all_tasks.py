"""One test for every registered task, shipped ones and their variants alike."""

import numpy as np
import pytest

from rldg.env.robot_env import RobotEnv
from rldg.env.types import privileged_parts
from rldg.policies.expert import Expert
from rldg.rollout import rollout
from rldg.tasks import load_task, task_names

EPISODES = 3


@pytest.mark.parametrize("name", task_names())
def test_a_task_keeps_its_spaces_repeats_itself_and_can_be_done(name: str) -> None:
    env = RobotEnv(load_task(name), cameras=False)
    assert env.task.sim is not None
    assert set(env.observation_space["privileged"]) == set(privileged_parts(env.task))
    actions = np.random.default_rng(0).uniform(-1, 1, (5, 7)).astype(np.float32)
    traces = []
    for seed in (11, 11, 12):
        observation, _ = env.reset(seed=seed)
        traces.append([observation, *(env.step(action)[0] for action in actions)])
    first, again, other = traces
    for a, b in zip(first, again, strict=True):
        assert env.observation_space.contains(a)
        for group in ("state", "privileged"):
            for part in a[group]:
                assert np.isfinite(a[group][part]).all()
                np.testing.assert_array_equal(a[group][part], b[group][part])
    for part in first[0]["privileged"]:
        assert not np.allclose(first[0]["privileged"][part], other[0]["privileged"][part])

    for seed in range(EPISODES):
        episode = rollout(env, Expert(), seed)
        assert episode.success, (seed, episode.metadata.failure_reason)
        assert episode.metadata.penetration < env.task.sim.geometry.fit
        assert episode.reward[-1] == 1 and episode.reward[:-1].sum() == 0 and episode.is_terminal[-1]
