"""PPO: advantages, loss and updates against values worked out by hand, and a task that it has to solve."""

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rldg.errors import UsageError
from rldg.irevla import ppo
from rldg.irevla.config import Convergence, PPOConfig
from rldg.irevla.convergence import end
from rldg.irevla.distributions import Categorical, Gaussian
from rldg.irevla.gae import advantages
from rldg.irevla.ppo import Samples


def test_advantages_by_hand() -> None:
    """Two episodes: one that ends by itself after two steps, one that is cut off after one."""
    found = advantages(
        reward=np.array([0.0, 1.0, 0.0]),
        value=np.array([0.5, 0.6, 0.2]),
        next_value=np.array([0.6, 9.0, 0.4]),  # what follows the end counts nothing
        terminal=np.array([False, True, False]),
        ends=np.array([False, True, True]),
        discount=0.9,
        trace=0.8,
    )
    last = 1.0 - 0.6
    np.testing.assert_allclose(found, [0.9 * 0.6 - 0.5 + 0.9 * 0.8 * last, last, 0.9 * 0.4 - 0.2], rtol=1e-6)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=12), st.floats(0.5, 1.0))
def test_with_full_traces_an_advantage_is_the_return_less_the_value(rewards: list[float], discount: float) -> None:
    reward, count = np.array(rewards), len(rewards)
    value = np.linspace(-1, 1, count)
    ends = np.arange(count) == count - 1
    found = advantages(reward, value, np.append(value[1:], 0.0), ends, ends, discount, 1.0)
    returns = [sum(r * discount**k for k, r in enumerate(rewards[start:])) for start in range(count)]
    np.testing.assert_allclose(found, np.array(returns) - value, atol=1e-5)


def test_environments_side_by_side_do_not_touch_each_other() -> None:
    generator = np.random.default_rng(0)
    reward, value, following = generator.normal(size=(3, 7, 2))
    terminal, ends = generator.random((7, 2)) < 0.2, generator.random((7, 2)) < 0.4
    ends |= terminal
    both = advantages(reward, value, following, terminal, ends, 0.97, 0.9)
    for column in range(2):
        r, v, f, t, e = (array[:, column] for array in (reward, value, following, terminal, ends))
        np.testing.assert_array_equal(both[:, column], advantages(r, v, f, t, e, 0.97, 0.9))


def test_distributions_against_the_definitions() -> None:
    gaussian = Gaussian(np.array([[1.0, 5.0]]), np.log(np.array([0.5, 2.0])), np.array([1.0, 0.0]))
    density = np.exp(-0.5 * ((1.5 - 1.0) / 0.5) ** 2) / (0.5 * np.sqrt(2 * np.pi))
    assert float(gaussian.log_prob(np.array([[1.5, -3.0]]))[0]) == pytest.approx(np.log(density), rel=1e-5)
    assert float(gaussian.entropy()[0]) == pytest.approx(np.log(0.5 * np.sqrt(2 * np.pi * np.e)), rel=1e-5)
    np.testing.assert_allclose(gaussian.sample(np.array([[2.0, 2.0]])), [[2.0, 5.0]])  # what is inactive stays
    choice = Categorical(jnp.log(jnp.array([[0.2, 0.8]])))
    assert float(choice.log_prob(np.array([1]))[0]) == pytest.approx(np.log(0.8), rel=1e-5)
    assert float(choice.entropy()[0]) == pytest.approx(-(0.2 * np.log(0.2) + 0.8 * np.log(0.8)), rel=1e-5)


@dataclass(frozen=True)
class Bare:
    """A policy with one logit, and a constant value: simple enough for paper."""

    def __call__(self, params: Any, seen: Any) -> tuple[Categorical, Any]:
        logits = jnp.stack([jnp.zeros(len(seen)), jnp.broadcast_to(params["logit"], (len(seen),))], axis=-1)
        return Categorical(logits), jnp.broadcast_to(params["value"], (len(seen),))


def samples(action: list[int], advantage: list[float], target: list[float], value: float = 0.0) -> Samples:
    count = len(action)
    return Samples(
        seen=np.zeros(count, np.float32),
        action=np.array(action),
        log_prob=np.full(count, np.log(0.5), np.float32),
        value=np.full(count, value, np.float32),
        advantage=np.array(advantage, np.float32),
        target=np.array(target, np.float32),
    )


def test_loss_by_hand() -> None:
    config = PPOConfig(clip=0.2, clip_value=0.1, value_weight=0.5, entropy_weight=0.01, normalise=False)
    params = {"logit": jnp.array(np.log(3.0)), "value": jnp.array(0.3)}  # action 1 has become 0.75 likely
    batch = samples([1, 0], [2.0, 1.0], [1.0, 0.0])
    total, figures = ppo.loss(config, Bare(), params, batch)
    policy_loss = -np.mean([min(1.5, 1.2) * 2.0, min(0.5, 0.8) * 1.0])
    # Clipped, the value is 0.1: the greater error of the two counts, (0.9, not 0.7) and (0.3, not 0.1).
    value_loss = 0.5 * np.mean([0.9**2, 0.3**2])
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert float(total) == pytest.approx(policy_loss + 0.5 * value_loss - 0.01 * entropy, rel=1e-5)
    moved = np.log([1.5, 0.5])
    assert float(figures["kl"]) == pytest.approx(np.mean(np.exp(moved) - 1 - moved), rel=1e-4)
    assert float(figures["clipped"]) == 1.0


def test_normalised_advantages_do_not_depend_on_their_scale() -> None:
    params = {"logit": jnp.array(0.3), "value": jnp.array(0.0)}
    values = [
        float(ppo.loss(PPOConfig(), Bare(), params, samples([1, 0, 1], advantage, [0.0] * 3))[0])
        for advantage in ([1.0, 2.0, 4.0], [5.0, 15.0, 35.0])
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_the_first_step_of_adam_has_the_learning_rate_s_size() -> None:
    config = PPOConfig(epochs=1, minibatch=2, normalise=False, learning_rate=0.01, clip_gradient=1e6, target_kl=0)
    start = ppo.start(config, {"logit": jnp.array(0.0), "value": jnp.array(0.0)})
    data = samples([1, 1], [1.0, 1.0], [1.0, 1.0])
    after, figures = ppo.update(config, Bare(), start, data, np.random.default_rng(0))
    assert float(after.params["logit"]) == pytest.approx(0.01, rel=1e-3)  # towards the action that paid
    assert float(after.params["value"]) == pytest.approx(0.01, rel=1e-3)  # towards the return
    assert figures["epochs"] == 1
    assert float(start.params["logit"]) == 0.0  # the caller's is untouched


def test_epochs_end_when_the_policy_has_moved_too_far() -> None:
    config = PPOConfig(epochs=50, minibatch=4, learning_rate=0.05, target_kl=0.01, normalise=False)
    start = ppo.start(config, {"logit": jnp.array(0.0), "value": jnp.array(0.0)})
    data = samples([1, 1, 0, 0], [1.0, 1.0, -1.0, -1.0], [0.0] * 4)
    _, figures = ppo.update(config, Bare(), start, data, np.random.default_rng(0))
    assert 1 < figures["epochs"] < 50
    assert figures["kl"] > 0.01
    _, free = ppo.update(replace(config, target_kl=0.0), Bare(), start, data, np.random.default_rng(0))
    assert free["epochs"] == 50


@given(st.integers(1, 40), st.integers(1, 12))
def test_minibatches_have_one_size_and_use_each_row_once(count: int, size: int) -> None:
    parts = list(ppo.minibatches(count, size, np.random.default_rng(0)))
    rows = np.concatenate(parts)
    assert {len(part) for part in parts} == {size}
    if count < size:
        assert set(rows) == set(range(count))
    else:
        assert len(set(rows)) == len(rows) == count // size * size


def test_when_a_stage_ends() -> None:
    rule = Convergence(window=2, success=0.9, patience=3, rise=0.1, iterations=20)
    assert end(np.array([1.0]), rule) == ""  # one good iteration is none
    assert end(np.array([0.0, 0.8, 1.0]), rule) == "success"
    assert end(np.array([0.2, 0.4, 0.3, 0.5, 0.4]), rule) == ""
    assert end(np.array([0.2, 0.4, 0.3, 0.3, 0.3]), rule) == "no rise"
    assert end(np.linspace(0, 0.85, 20), rule) == "budget"


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in ({"epochs": 0}, {"minibatch": 0}, {"discount": 1.1}, {"trace": -0.1}):
        with pytest.raises(UsageError, match="PPO"):
            replace(PPOConfig(), **wrong)
