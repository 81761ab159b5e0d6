"""Policies made of others: one that hands over to another, one that is pushed off its way."""

from dataclasses import replace

import numpy as np
import pytest

from rldg.env.robot_env import RobotEnv
from rldg.env.types import ActionContract
from rldg.errors import ContractError, UsageError
from rldg.policies.base import Policy, PolicyMetadata
from rldg.policies.expert import Expert
from rldg.policies.pushed import Pushed
from rldg.policies.relay import Relay
from rldg.policies.teleoperator import Teleoperator
from rldg.resolve import load_policy
from rldg.rollout import rollout
from rldg.tasks import load_task


class Inserter(Policy):
    """The expert of `fmb_insertion`: it knows the tool's pose alone, and acts by that task's contract."""

    metadata = PolicyMetadata("inserter", ActionContract.of(load_task("fmb_insertion")), weight_hash="ab")

    def __init__(self):
        self._expert, self.seen = Expert(), []

    def reset(self, task, instruction, seed=0):
        self._expert.reset(load_task("fmb_insertion"), instruction, seed)

    def act(self, observation):
        self.seen.append(observation)
        return self._expert.act(observation)


@pytest.fixture(scope="module")
def assembly():
    return RobotEnv(load_task("fmb_assembly"), cameras=False)


def test_a_policy_for_the_insertion_alone_finishes_what_another_grasped(assembly):
    second = Inserter()
    relay = Relay(Teleoperator(), second)
    episodes = [rollout(assembly, relay, seed) for seed in range(4)]
    assert sum(episode.success for episode in episodes) >= 3
    assert relay.metadata.kind == "teleoperator:then=inserter"
    assert Teleoperator().metadata.weight_hash in relay.metadata.weight_hash
    for seen in second.seen:  # it was asked only once the peg was held over its hole, and told where the peg is
        held = seen["privileged"]["object_in_target"]
        assert np.array_equal(seen["privileged"]["tcp_in_target"], held)
    alone = [rollout(assembly, Teleoperator(), seed) for seed in range(4)]
    for handed, whole in zip(episodes, alone, strict=True):  # until then the first acted, and nobody else
        steps = int((handed.privileged["object_in_target"][:, 1] < -0.035).sum())
        assert np.array_equal(handed.action[:steps], whole.action[:steps])


def test_there_is_nothing_to_hand_over_where_nothing_is_grasped(assembly):
    with pytest.raises(ContractError, match="grasps nothing"):
        rollout(RobotEnv(load_task("fmb_insertion"), cameras=False), Relay(Expert(), Expert()), 0)
    other = Inserter()
    other.metadata = PolicyMetadata("other", replace(ActionContract.of(load_task("fmb_insertion")), rate=5.0))
    with pytest.raises(ContractError, match="rate"):
        rollout(assembly, Relay(Expert(), other), 0)


def test_pushes_are_rare_random_and_repeatable_and_the_policy_recovers():
    env = RobotEnv(load_task("usb_a_insertion"), cameras=False)
    plain = [rollout(env, Expert(), seed) for seed in range(6)]
    pushed = [rollout(env, Pushed(Expert(), 0.7), seed) for seed in range(6)]
    assert sum(episode.success for episode in pushed) >= 5
    assert np.mean([len(e) for e in pushed]) > np.mean([len(e) for e in plain])
    again = rollout(env, Pushed(Expert(), 0.7), 3)
    assert np.array_equal(again.action, pushed[3].action)
    still = rollout(env, Pushed(Expert(), 0.0), 3)
    assert np.array_equal(still.action, plain[3].action)


def test_they_are_named_on_the_command_line():
    relay = load_policy("teleoperator:average:then=expert")
    assert isinstance(relay, Relay) and relay.metadata.kind == "teleoperator:average:then=expert"
    pushed = load_policy("expert:pushes=0.5")
    assert isinstance(pushed, Pushed) and pushed.rate == 0.5 and pushed.metadata.kind == "expert:pushes=0.5"
    for wrong in ("often", "-1", "nan"):
        with pytest.raises(UsageError, match="pushes per second"):
            load_policy(f"expert:pushes={wrong}")
