"""PPO of rldg/irevla on Gymnasium's classic control, beside what Stable-Baselines3's zoo publishes of its own.

    python -m benchmarks.ppo [--tasks CartPole-v1] [--seeds 0 1 2] [--out benchmarks/results/ppo.json]

The update is the one that learns on latents; only the network differs, two small ones over flat observations. The
settings are the zoo's (hyperparams/ppo.yml), but for three: no state-dependent exploration on Pendulum, a constant clip
on CartPole, and on Acrobot velocities scaled by their bounds instead of running moments, and rewards as they are. As
there, the policy acts without drawing at the end. Published: https://github.com/DLR-RM/rl-baselines3-zoo, benchmark.md,
one run each, so "within noise" is judged by the spread between our own seeds.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from rldg.cli.output import table
from rldg.irevla.config import PPOConfig
from rldg.stage import write_json


@dataclass(frozen=True)
class Case:
    """One task: how it is learned, and what is published of it."""

    steps: int  # of all environments
    environments: int
    per_iteration: int  # steps of each environment
    ppo: PPOConfig
    published: float  # mean return
    published_std: float  # between episodes
    decay: bool = False  # whether the learning rate goes to zero


PLAIN = PPOConfig(clip_value=0.0, target_kl=0.0, learning_rate=3e-4, minibatch=64)
CASES = {
    "CartPole-v1": Case(
        100_000, 8, 32, replace(PLAIN, discount=0.98, trace=0.8, epochs=20, minibatch=256, learning_rate=1e-3),
        500.0, 0.0, decay=True,
    ),
    "Acrobot-v1": Case(1_000_000, 16, 256, replace(PLAIN, discount=0.99, trace=0.94, epochs=4), -73.506, 18.201),
    "Pendulum-v1": Case(
        100_000, 4, 1024, replace(PLAIN, discount=0.9, trace=0.95, epochs=10, learning_rate=1e-3), -172.225, 104.159
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    tasks: tuple[str, ...] = tuple(CASES)
    seeds: tuple[int, ...] = (0, 1, 2)
    # Episodes per seed in the end.
    episodes: int = 100
    out: Path = Path("benchmarks/results/ppo.json")


def measure(task: str, case: Case, seed: int, episodes: int) -> list[float]:
    """Returns of `episodes` episodes after training."""
    import jax
    import numpy as np

    from rldg.irevla import ppo
    from rldg.irevla.gae import advantages
    from rldg.irevla.learner import judged

    envs = Environments(task, case.environments, seed)
    network = make_network(envs.actions, envs.discrete)
    learned = ppo.start(case.ppo, network.init(envs.size, seed))
    generator = np.random.default_rng([seed, 1])
    act = jax.jit(network.sample)
    iterations = case.steps // (case.environments * case.per_iteration)
    for iteration in range(iterations):
        rows = []
        for _ in range(case.per_iteration):
            seen = envs.seen
            action = np.asarray(act(learned.params, seen, network.noise(generator, len(seen))))
            rows.append((seen, action, *envs.step(action)))
        seen, action, following, reward, terminal, ends = (np.stack(column) for column in zip(*rows, strict=True))
        flat = {"seen": seen, "action": action, "following": following}
        flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in flat.items()}
        log_prob, value = judged(network, learned.params, flat["seen"], flat["action"])
        _, after = judged(network, learned.params, flat["following"], flat["action"])
        ends[-1] = True
        before, after = value.reshape(reward.shape), after.reshape(reward.shape)
        found = advantages(reward, before, after, terminal, ends, case.ppo.discount, case.ppo.trace)
        data = ppo.Samples(flat["seen"], flat["action"], log_prob, value, found.ravel(), (found + before).ravel())
        rate = case.ppo.learning_rate * (1 - iteration / iterations if case.decay else 1)
        learned, _ = ppo.update(case.ppo, network, learned, data, generator, rate)
    trial = Environments(task, case.environments, seed + 10_000)
    silent = network.noise(None, case.environments)
    each = -(-episodes // case.environments)  # as many of each environment, or short episodes would count more
    while min(map(len, trial.returns)) < each:
        trial.step(np.asarray(act(learned.params, trial.seen, silent)))
    return [value for returns in trial.returns for value in returns[:each]]


class Environments:
    """Several environments of a task, begun anew where they end; observations are divided by their bounds."""

    def __init__(self, task: str, count: int, seed: int) -> None:
        import gymnasium
        import numpy as np

        self._envs = [gymnasium.make(task) for _ in range(count)]
        space: Any = self._envs[0].observation_space
        self._scale = np.where(space.high > 1e6, 1, space.high).astype(np.float32)
        kind: Any = self._envs[0].action_space
        self.discrete = isinstance(kind, gymnasium.spaces.Discrete)
        self.actions = int(kind.n) if self.discrete else kind.shape[0]
        self._reach = None if self.discrete else kind.high
        self.size = len(self._scale)
        self.returns: list[list[float]] = [[] for _ in range(count)]  # of finished episodes
        self._running = np.zeros(count)
        self.seen = np.stack([self._scaled(env.reset(seed=seed * 100 + n)[0]) for n, env in enumerate(self._envs)])

    def step(self, action: Any) -> tuple[Any, Any, Any, Any]:
        """What follows each action: (count, ...) observations, rewards, whether it ended by itself, or ended at all."""
        import numpy as np

        rows, seen = [], []
        for number, env in enumerate(self._envs):
            mine = int(action[number]) if self._reach is None else np.clip(action[number], -1, 1) * self._reach
            observation, reward, terminated, truncated, _ = env.step(mine)
            rows.append((self._scaled(observation), np.float32(reward), terminated, terminated or truncated))
            self._running[number] += float(reward)
            if terminated or truncated:
                self.returns[number].append(float(self._running[number]))
                self._running[number] = 0
                observation, _ = env.reset()
            seen.append(self._scaled(observation))
        self.seen = np.stack(seen)
        observation, reward, terminal, ends = (np.stack(column) for column in zip(*rows, strict=True))
        return observation, reward, terminal, ends

    def _scaled(self, observation: Any) -> Any:
        return (observation / self._scale).astype("float32")


def make_network(actions: int, discrete: bool) -> Any:
    """A policy and a critic of two layers of 64 each, on flat observations."""
    import flax.linen as nn
    import jax
    import jax.numpy as jnp
    import numpy as np

    from rldg.irevla.distributions import Categorical, Gaussian

    wide, narrow = nn.initializers.orthogonal(np.sqrt(2)), nn.initializers.orthogonal(0.01)

    class Flat(nn.Module):
        @nn.compact
        def __call__(self, seen: Any) -> tuple[Any, Any, Any]:
            policy = value = seen
            for _ in range(2):
                policy = nn.tanh(nn.Dense(64, kernel_init=wide)(policy))
                value = nn.tanh(nn.Dense(64, kernel_init=wide)(value))
            log_std = self.param("log_std", nn.initializers.zeros, (actions,))
            chosen = nn.Dense(actions, kernel_init=narrow)(policy)
            return chosen, log_std, nn.Dense(1, kernel_init=nn.initializers.orthogonal(1.0))(value)[:, 0]

    class Network:
        def __call__(self, params: Any, seen: Any) -> tuple[Any, Any]:
            found: Any = Flat().apply({"params": params}, seen)
            chosen, log_std, value = found
            return (Categorical(chosen) if discrete else Gaussian(chosen, log_std, jnp.ones(actions))), value

        def init(self, size: int, seed: int) -> Any:
            return Flat().init(jax.random.key(seed), jnp.zeros((1, size)))["params"]

        def sample(self, params: Any, seen: Any, noise: Any) -> Any:
            return self(params, seen)[0].sample(noise)

        def noise(self, generator: Any, count: int) -> Any:
            if generator is None:
                return np.zeros((count, actions), np.float32)
            draw = generator.gumbel if discrete else partial(generator.normal, 0.0, 1.0)
            return draw(size=(count, actions)).astype(np.float32)

    return Network()


def judge(case: Case, mean: float, noise: float) -> str:
    """What the interval of the mean over our seeds says of the published return.

    Seeds that disagree by more than published episodes do show nothing: a wide interval is no agreement.
    """
    if noise > max(case.published_std, 0.02 * abs(case.published)):
        return "inconclusive: seeds disagree"
    if abs(mean - case.published) <= noise or mean == case.published:
        return "equal"
    return "better" if mean > case.published else "below"


def main(args: Args) -> None:
    """Trains on every task with every seed, prints the table and writes it."""
    import numpy as np
    from scipy import stats

    from rldg.generalists.octo.runtime import prepare_jax

    prepare_jax()
    results, rows = {}, []
    for task in args.tasks:
        case = CASES[task]
        means = [float(np.mean(measure(task, case, seed, args.episodes))) for seed in args.seeds]
        mean, noise = float(np.mean(means)), 0.0
        if len(means) > 1:
            noise = float(stats.t.ppf(0.975, len(means) - 1) * np.std(means, ddof=1) / np.sqrt(len(means)))
        verdict = judge(case, mean, noise)
        results[task] = {
            "steps": case.steps, "means": means, "mean": mean, "half_width": noise, "verdict": verdict,
            "published": case.published, "published_std_of_episodes": case.published_std,
        }  # fmt: skip
        rows.append((task, case.steps, f"{mean:.1f} +- {noise:.1f}", case.published, verdict))
    write_json(args.out, results)
    print(table(("task", "steps", "return (95 % over seeds)", "published", "verdict"), rows))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
