"""Another model out of a trained one: a wrist camera less, another head, another chunk, more proprioception."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rldg.errors import CheckpointError, UnknownNameError
from rldg.generalists.octo.config import (
    DiscreteConfig,
    HeadConfig,
    ImageConfig,
    LowdimConfig,
    ModelConfig,
    TokenLearnerConfig,
)


@dataclass(frozen=True)
class Surgery:
    """What to change of a model before it is fine-tuned. Slots are called "primary", "wrist", "proprio", "language".

    The weights of what stays are kept by `partial.load_params`.
    """

    drop: tuple[str, ...] = ()  # slots that the new data does not fill
    head: HeadConfig | None = None  # a new action head; None: the model's
    action_horizon: int | None = None  # actions per chunk
    action_dim: int | None = None  # numbers per action
    window: int | None = None  # timesteps that the policy sees
    cameras: Mapping[str, str] = field(default_factory=dict)  # slot -> the camera that feeds it
    sizes: Mapping[str, int] = field(default_factory=dict)  # slot -> pixels of its images, square
    lowdim: tuple[LowdimConfig, ...] = ()  # tokenizers of plain numbers to add, or to put in place of the same name

    def apply(self, model: ModelConfig) -> ModelConfig:
        """The changed model.

        Raises:
            UnknownNameError: a slot that the model does not have.
            CheckpointError: nothing would be left to act on, or a number is not positive.
        """
        self._check(model)
        images = tuple(self._image(image) for image in model.images if image.name not in self.drop)
        new = {part.name for part in self.lowdim}
        kept = tuple(part for part in model.lowdim if part.name not in {*self.drop, *new})
        language = None if "language" in self.drop else model.language
        if not images and not kept and not self.lowdim:
            raise CheckpointError(f"Dropping {', '.join(self.drop)} leaves the model nothing to observe.")
        if language is None and not any(image.goal for image in images):
            raise CheckpointError("Without language the model needs an image slot with goals, or it has no task.")
        head = self.head or model.head
        head = replace(
            head,
            action_horizon=self.action_horizon or head.action_horizon,
            action_dim=self.action_dim or head.action_dim,
        )
        window = self.window or model.window
        return replace(
            model,
            images=images,
            lowdim=kept + self.lowdim,
            language=language,
            head=head,
            readouts=_readouts(head, model),
            window=window,
            max_horizon=max(window, model.max_horizon),
        )

    def _check(self, model: ModelConfig) -> None:
        pictures = [image.name for image in model.images]
        slots = [*pictures, *(part.name for part in model.lowdim), *(["language"] if model.language else [])]
        for name in self.drop:
            if name not in slots:
                raise UnknownNameError("slot to drop", name, slots)
        for name in [*self.cameras, *self.sizes]:
            if name not in pictures:
                raise UnknownNameError("image slot", name, pictures)
        for part in self.lowdim:
            if part.name in [*pictures, "language"]:
                raise CheckpointError(f"'{part.name}' is a slot of the model already, and not one of plain numbers.")
        numbers = {"action_horizon": self.action_horizon, "action_dim": self.action_dim, "window": self.window}
        for name, value in (numbers | {f"size of '{slot}'": size for slot, size in self.sizes.items()}).items():
            if value is not None and value < 1:
                raise CheckpointError(f"The {name} must be at least 1, not {value}.")

    def _image(self, image: ImageConfig) -> ImageConfig:
        size, camera = self.sizes.get(image.name, image.size), self.cameras.get(image.name, image.camera)
        return replace(image, size=size, camera=camera)


def _readouts(head: HeadConfig, model: ModelConfig) -> int:
    """A discrete head without pooling reads one token per group of numbers; a token learner says how many it pools."""
    if isinstance(head, TokenLearnerConfig):
        return head.tokens
    if not isinstance(head, DiscreteConfig) or head.pooling == "attention":
        return model.readouts
    groups = {"": 1, "action_horizon": head.action_horizon}
    return groups.get(head.token_per, head.action_horizon * head.action_dim)
