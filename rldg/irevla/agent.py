"""`Agent`: what acts in stage 1, and what of a step the update will see again."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import jax
import numpy as np

from rldg.env.types import Observation
from rldg.generalists.octo.config import TokenLearnerConfig
from rldg.irevla.networks import TRUNK, LatentNetwork, WholeNetwork
from rldg.irevla.octo_trunk import OctoTrunk
from rldg.irevla.ppo import Network, Params
from rldg.irevla.trunk import Trunk, active


class Agent(Protocol):
    """A network, and how an observation becomes its input."""

    @property
    def trunk(self) -> Trunk:
        """The generalist up to its output tokens."""
        ...

    @property
    def network(self) -> Network:
        """The policy and the critic."""
        ...

    def init(self, seed: int, initial_std: float) -> Params:
        """Parameters to begin with."""
        ...

    def see(self, observations: Sequence[Observation]) -> list[Any]:
        """The network's input for each observation, a tree of arrays without a first axis."""
        ...

    def stacked(self, seen: Sequence[Any]) -> Any:
        """Inputs of many steps as one tree of arrays (n, ...)."""
        ...

    def act(self, params: Params, seen: Any, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Actions as the network draws them for noise (n, A), and the same (n, 7) as environments take them."""
        ...

    def save(self, folder: Any, params: Params, step: int) -> None:
        """Writes the generalist as it is now, as a checkpoint."""
        ...


class LatentAgent:
    """The trunk is frozen: each picture passes through it once, and what is kept of a step is its latent."""

    def __init__(self, trunk: Trunk) -> None:
        self.trunk = trunk
        self.network = LatentNetwork(trunk.head_config, active(trunk.statistics, trunk.contract))

    def init(self, seed: int, initial_std: float) -> Params:
        """The trained head, a fresh critic."""
        config: TokenLearnerConfig = self.trunk.head_config
        latents = np.zeros((1, config.tokens, self.trunk.latent_size // config.tokens), np.float32)
        return self.network.init(self.trunk.head, latents, initial_std, seed)

    def see(self, observations: Sequence[Observation]) -> list[Any]:
        """Latents (m, D)."""
        return list(self.trunk.latents([self.trunk.frame(observation) for observation in observations]))

    def stacked(self, seen: Sequence[Any]) -> Any:
        """(n, m, D)."""
        return np.stack(seen)

    def act(self, params: Params, seen: Any, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Actions as the head gives them, and as environments take them."""
        return _acted(self, params, seen, noise)

    def save(self, folder: Any, params: Params, step: int) -> None:
        """The trunk as it was, with the head as it is now."""
        self.trunk.save(folder, params["actor"], step)


class WholeAgent:
    """Everything learns, on an Octo: what is kept of a step is its pictures. For the baselines."""

    def __init__(self, trunk: OctoTrunk) -> None:
        self.trunk = trunk
        self._heads = LatentAgent(trunk)
        self.network = WholeNetwork(trunk.model, self._heads.network)

    def init(self, seed: int, initial_std: float) -> Params:
        """The same, and the trunk."""
        return self._heads.init(seed, initial_std) | {TRUNK: self.trunk.params["octo_transformer"]}

    def see(self, observations: Sequence[Observation]) -> list[Any]:
        """Frames as the model takes them."""
        return [self.trunk.frame(observation) for observation in observations]

    def stacked(self, seen: Sequence[Any]) -> Any:
        """Observations, and the task once for each, which takes no memory."""
        observation = {name: np.stack([frame[name] for frame in seen]) for name in seen[0]}
        task = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (len(seen), *leaf.shape[1:])), self.trunk.task)
        return {"observation": observation, "task": task}

    def act(self, params: Params, seen: Any, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Actions as the head gives them, and as environments take them."""
        return _acted(self, params, seen, noise)

    def save(self, folder: Any, params: Params, step: int) -> None:
        """Trunk and head as they are now."""
        self.trunk.save(folder, params["actor"], step, trunk=params[TRUNK])


def _acted(agent: Agent, params: Params, seen: Any, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    trunk = agent.trunk
    drawn = np.asarray(_sampled(agent.network, params, seen, noise))
    return drawn, trunk.contract.to_normalized(trunk.statistics.restore(drawn))


@partial(jax.jit, static_argnums=0)
def _sampled(network: Network, params: Params, seen: Any, noise: Any) -> Any:
    policy: Any = network(params, seen)[0]
    return policy.sample(noise)
