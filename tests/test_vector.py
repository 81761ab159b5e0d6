"""Environments stepped together give what each gives by itself, and never keep anybody waiting for a dead process."""

import os
import signal
import time

import numpy as np
import pytest

from rldg.engines import WorkerError
from rldg.env.make import make_env
from rldg.env.vector import VectorEnv
from rldg.errors import ActionError

TASK = "usb_a_insertion"
ACTIONS = np.random.default_rng(0).uniform(-1, 1, (3, 3, 7)).astype(np.float32)  # environment, step


@pytest.fixture(scope="module")
def alone():
    """What three environments show and say, stepped one after the other."""
    env, traces = make_env(TASK), []
    for number in range(3):
        observation, info = env.reset(seed=10 + number)
        traces.append([(observation, 0.0, False, False, info["step"])])
        for action in ACTIONS[number]:
            *outcome, info = env.step(action)
            traces[-1].append((*outcome, info["step"]))
    env.close()
    return traces


def same(one, other):
    for group in ("state", "images", "privileged"):
        assert one[0][group].keys() == other[0][group].keys()
        for name, value in one[0][group].items():
            np.testing.assert_array_equal(value, other[0][group][name])
    assert one[1:] == tuple(other[1:])


@pytest.mark.parametrize("workers", [1, 2])
def test_environments_together_are_what_each_is_alone(workers, alone):
    envs = VectorEnv(TASK, 3, workers)
    begun = envs.reset({n: 10 + n for n in range(3)})
    seen = {n: [(observation, 0.0, False, False, info)] for n, (observation, info) in begun.items()}
    for step in range(3):
        for numbers in ((2, 0), (1,)):  # in any company, in any order
            stepped = envs.step({n: ACTIONS[n, step] for n in numbers})
            assert tuple(stepped) == numbers
            for number, outcome in stepped.items():
                seen[number].append(outcome)
    envs.close()
    for number in range(3):
        for one, other in zip(alone[number], seen[number], strict=True):
            same(one, other)


def test_a_process_that_dies_or_hangs_is_named_at_once():
    envs = VectorEnv(TASK, 3, 2, cameras=False, timeout=60)
    envs.reset({0: 1, 1: 1, 2: 1})
    os.kill(envs._workers[1]._process.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match=r"^The process of environments 1 of task 'usb_a_insertion' died;"):
        envs.step({n: np.zeros(7, np.float32) for n in range(3)})
    with pytest.raises(WorkerError, match="have ended"):
        envs.reset({0: 1})

    envs = VectorEnv(TASK, 2, 2, cameras=False, timeout=60)
    envs.reset({0: 1, 1: 1})
    envs._timeout = 0.5
    os.kill(envs._workers[0]._process.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(WorkerError, match=r"environments 0 of .* did not answer within 0.5 s"):
        envs.step({n: np.zeros(7, np.float32) for n in range(2)})
    assert time.monotonic() - began < 10


def test_a_bad_action_comes_out_as_it_does_alone():
    envs = VectorEnv(TASK, 2, 2, cameras=False)
    envs.reset({0: 1, 1: 2})
    with pytest.raises(ActionError, match="finite"):
        envs.step({0: np.full(7, np.nan, np.float32), 1: np.zeros(7, np.float32)})
