"""What a specialist's training can be told."""

from dataclasses import dataclass
from typing import Literal

from rldg.errors import UsageError


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
    # Whether force and torque are observed beside exact poses. With these they are not needed.
    observe_force: bool = False

    # What pictures are seen through: `none` (the agent sees exact poses), `small` (convolutions learned from scratch),
    # `resnet10` (HIL-SERL's, frozen), or a Flax module's `module:Class`, `frozen:module:Class` with given weights.
    encoder: str = "none"
    # File of a frozen encoder's weights, such as `rldg encoder import` writes.
    encoder_weights: str = ""
    # Cameras that the agent sees; all that the task has, if none is named.
    cameras: tuple[str, ...] = ()
    # Side of the pictures that the networks take [px]; divides that of the task's cameras.
    image_size: int = 64
    # Most pixels by which an update shifts pictures at random (DrQ); at 0, frozen features are kept for pictures.
    augment: int = 2
    # Whether critics see exact poses where the actor sees pictures. For simulation.
    asymmetric: bool = False
    # If so: critic updates per update of the actor, and pictures from each camera in that.
    picture_period: int = 10
    picture_batch: int = 64

    # Price of setting the gripper moving, where the agent grasps.
    grasp_penalty: float = 0.02

    # Least wall time between two checkpoints [s].
    checkpoint_seconds: float = 10.0

    @property
    def clones(self) -> bool:
        """Whether the actor is fitted to what the operator did, and rewards are not looked at."""
        return self.algorithm in ("bc", "hg-dagger")

    def __post_init__(self) -> None:
        """Refuses what cannot be trained."""
        if self.algorithm == "hg-dagger" and not self.operator:
            raise UsageError("hg-dagger clones an operator's corrections: name an operator, such as teleoperator.")
        if self.clones and (self.demonstrations < 1 or not 0 <= self.dropout < 1):
            raise UsageError(f"{self.algorithm} needs demonstrations, and a dropout of at least 0 and less than 1.")
        if self.updates_per_call % self.actor_period:
            raise UsageError(f"updates_per_call must be a multiple of actor_period, {self.actor_period}.")
        if self.asymmetric and self.updates_per_call % self.picture_period:
            raise UsageError(f"updates_per_call must be a multiple of picture_period, {self.picture_period}.")
        if self.encoder == "none" and (self.asymmetric or self.cameras or self.encoder_weights):
            raise UsageError("asymmetric, cameras and encoder_weights speak of pictures: choose an encoder with them.")
        if self.encoder != "none" and self.observe_force and not self.asymmetric:
            raise UsageError("With an encoder, force is seen anyway: leave observe_force out, or choose asymmetric.")
        if self.augment < 0 or self.image_size < 16 or 2 * self.augment >= self.image_size:
            raise UsageError("image_size must be 16 px or more, and augment less than half of it.")
