"""What a specialist's training can be told."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SpecialistConfig:
    """RLPD: SAC whose batches are half prior data (Ball et al. 2023; HIL-SERL section 3.1), sized for one CPU core.

    Tuned on the three seen connectors at 0.5 and at 0.2 mm clearance; `docs/specialist.md` has the numbers.
    """

    # How it learns: see `rldg.specialists.algorithms`, whose defaults for the other options these are not.
    algorithm: Literal["rlpd", "sac", "bc", "hg-dagger"] = "rlpd"
    # Who demonstrates, and takes over while the policy explores, such as teleoperator or spacemouse; by default the
    # simulated teleoperator demonstrates and nobody takes over.
    operator: str = ""
    # Successful teleoperated episodes, recorded before anything is learned.
    demonstrations: int = 20
    # Widths of the hidden layers, of the actor and of each critic. Twice the width costs four times the time.
    hidden: tuple[int, ...] = (128, 128)
    # Share of hidden units that cloning leaves out of each update.
    dropout: float = 0.0
    # Critics in the ensemble; their least value is the target.
    critics: int = 2
    # Transitions per update, half of them demonstrations.
    batch_size: int = 128
    # Value of a reward one control step later.
    discount: float = 0.97
    # Adam, for actor, critics and temperature alike.
    learning_rate: float = 5e-4
    # Share of the critics that enters their targets with each update.
    target_rate: float = 0.02
    # Critic updates per update of actor and temperature.
    actor_period: int = 4
    # Weight of the entropy bonus at the start. It adapts until the entropy is -dim(action) / 2.
    initial_temperature: float = 0.01
    # Critic updates per environment step.
    updates_per_step: int = 8
    # Updates on the demonstrations before anything is explored.
    pretrain_updates: int = 0
    # Critic updates that are compiled into one call; a multiple of `actor_period`.
    updates_per_call: int = 200
    # Environment steps of a round, about: as many episodes as have that many at the mean length of the last ones. The
    # actors collect a round while the learner learns from those before it.
    round_steps: int = 150
    # Time constant, in actor updates, of the average of the actors that is evaluated and kept.
    average_updates: int = 500
    # Critic updates before the first candidate: success comes early, the short way to it takes longer.
    least_updates: int = 30_000
    # A candidate that succeeds this often in a row, in scenes nobody has seen, ends the training.
    confirm_episodes: int = 300
    # Of these, how many are tried in a round. A failure ends a candidate at once.
    confirm_per_round: int = 100
    # Training ends here if no candidate was confirmed; the one with the longest run of successes is kept.
    max_env_steps: int = 30_000
    # Environment steps between the snapshots that are kept of the policy, for learning curves; 0 for none.
    snapshot_steps: int = 0
    # Whether force and torque are observed. With an exact pose they are not needed.
    observe_force: bool = False
    # Least wall time between two checkpoints [s].
    checkpoint_seconds: float = 10.0
