"""What an iRe-VLA run can be told, and the YAML that tells it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pydantic
import yaml

from rldg.errors import UsageError
from rldg.generalists.octo.recipes import FinetuneConfig

Method = Literal["irevla", "sft", "ppo-replay", "freeze", "scratch"]


@dataclass(frozen=True)
class PPOConfig:
    """How PPO updates the policy."""

    # Value of a reward one control step later.
    discount: float = 0.99
    # Lambda of the generalised advantage estimation.
    trace: float = 0.95
    # Passes over the steps of an iteration.
    epochs: int = 10
    # Steps per gradient.
    minibatch: int = 256
    # Adam's.
    learning_rate: float = 3e-4
    # Largest relative change of an action's probability that is rewarded.
    clip: float = 0.2
    # Largest change of a value that is rewarded; 0: any.
    clip_value: float = 0.2
    # Weight of the critic's loss.
    value_weight: float = 0.5
    # Weight of the entropy bonus.
    entropy_weight: float = 0.0
    # Largest norm of the gradient.
    clip_gradient: float = 0.5
    # Epochs end once the policy has moved so far (mean KL divergence); 0: never.
    target_kl: float = 0.02
    # Whether advantages have mean 0 and deviation 1 in each minibatch.
    normalise: bool = True

    def __post_init__(self) -> None:
        """Refuses what makes no sense."""
        if min(self.epochs, self.minibatch) < 1 or not (0 <= self.discount <= 1 and 0 <= self.trace <= 1):
            raise UsageError("PPO: epochs and minibatch count from 1; discount and trace lie between 0 and 1.")


@dataclass(frozen=True)
class Convergence:
    """When stage 1 has come to its end."""

    # Iterations over whose episodes success is averaged.
    window: int = 5
    # It ends when the average has reached this ..
    success: float = 0.95
    # .. or has not risen by `rise` for so many iterations ..
    patience: int = 30
    rise: float = 0.02
    # .. or after so many.
    iterations: int = 100


@dataclass(frozen=True)
class SACfDConfig:
    """How SACfD learns; see `rldg.specialists.config.SpecialistConfig`, where the names are the same."""

    # Successes of the generalist as it comes, which are half of every batch.
    demonstrations: int = 20
    # Critic updates per environment step.
    updates_per_step: int = 8
    # Critic updates that are compiled into one call.
    updates_per_call: int = 40
    # Widths of the layers of actor and critics.
    hidden: tuple[int, ...] = (256, 256)
    # Transitions per update.
    batch_size: int = 256
    # Value of a reward one control step later.
    discount: float = 0.97
    # Adam's.
    learning_rate: float = 3e-4


@dataclass(frozen=True)
class OnlineConfig:
    """Stage 1: reinforcement learning on one task."""

    # PPO in simulation; SACfD, which reuses every step many times, on a robot.
    algorithm: Literal["ppo", "sacfd"] = "ppo"
    # Episodes per iteration.
    episodes: int = 32
    # Environments that are stepped together.
    environments: int = 8
    # Standard deviation of the exploration at the start, in those of the expert's actions.
    initial_std: float = 0.3
    # Newest successes that are kept as data for stage 2.
    keep: int = 50
    ppo: PPOConfig = field(default_factory=PPOConfig)
    sacfd: SACfDConfig = field(default_factory=SACfDConfig)
    convergence: Convergence = field(default_factory=Convergence)

    def __post_init__(self) -> None:
        """Refuses what makes no sense."""
        if min(self.episodes, self.environments, self.keep, self.convergence.iterations) < 1 or self.initial_std <= 0:
            raise UsageError("Episodes, environments, keep and iterations count from 1; initial_std lies above 0.")


@dataclass(frozen=True)
class IrevlaConfig:
    """A whole run: supervised on expert data, then for each task reinforcement learning and supervised learning."""

    __pydantic_config__ = pydantic.ConfigDict(extra="forbid")  # of what is nested in it as well

    # Data sets of the expert; their successful episodes are trained on.
    expert: tuple[Path, ...]
    # Tasks of the reinforcement learning, one by one.
    tasks: tuple[str, ...] = ()
    # irevla: the paper's. sft: stage 0 alone. freeze: the trunk stays frozen in stage 2 as well. ppo-replay: the whole
    # model learns by PPO, then from the expert data again. scratch: the same from random weights, without expert.
    method: Method = "irevla"
    # Checkpoint that stage 0 starts from, a folder or a hub id; random weights by default.
    init: str | None = None
    # Run folder of a supervised training of such a model on the expert data, to go on from: stage 0 is then left out.
    start: Path | None = None
    # Stage 0.
    supervised: FinetuneConfig = field(default_factory=lambda: FinetuneConfig(model="irevla-tiny"))
    # Stage 1.
    online: OnlineConfig = field(default_factory=OnlineConfig)
    # Stage 2.
    retrain: FinetuneConfig = field(
        default_factory=lambda: FinetuneConfig(model="irevla-tiny", mode="lora", steps=1000, learning_rate=1e-3)
    )

    def __post_init__(self) -> None:
        """Refuses what makes no sense."""
        if not self.expert:
            raise UsageError("expert: name at least one data set.")
        if self.method != "sft" and not self.tasks:
            raise UsageError(f"tasks: the method {self.method} needs at least one task.")
        if self.start and (self.init or self.method == "scratch"):
            raise UsageError("start takes the place of stage 0, of which init and the method scratch speak.")
        if len(set(self.tasks)) < len(self.tasks):
            raise UsageError("tasks: each can be named once.")


def read_config(path: Path) -> IrevlaConfig:
    """The configuration in a YAML; paths in it are relative to the working directory.

    Raises `UsageError` that names the first thing that is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return pydantic.TypeAdapter(IrevlaConfig).validate_python(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split())}.") from None
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(f"{path}: {where}: {first['msg']}; `rldg irevla run --help` lists what is valid.") from None
