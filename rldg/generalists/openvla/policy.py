"""`OpenVLAPolicy`: a trained OpenVLA as a policy."""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from rldg.data.crop import centre_crop
from rldg.data.transform import ImageTransform
from rldg.env.types import ActionContract, Observation
from rldg.errors import CheckpointError, UsageError
from rldg.generalists.openvla.checkpoint import Checkpoint, load_checkpoint
from rldg.generalists.openvla.config import ACTION_DIMENSIONS
from rldg.generalists.openvla.quantisation import Bits
from rldg.generalists.openvla.source import local_folder
from rldg.generalists.openvla.statistics import restored, statistics_of
from rldg.policies.base import Policy, PolicyMetadata
from rldg.policies.merged import Merged
from rldg.tasks.task import Task

Images = Mapping[str, np.ndarray]  # camera -> (H, W, 3) uint8 RGB
Ask = tuple[np.ndarray, str, torch.Generator | None]  # image, instruction, and what a sample is drawn from

_SMALL = 2**31  # bytes of weights up to which a CPU computes in float32, as the original's numbers are


class OpenVLAPolicy(Policy):
    """Acts from one camera's image and the instruction, one action per call.

    Greedy unless `stochastic`, as the original. Pictures are treated as in training: what the checkpoint says (size,
    the centre of a cropped training), then the processor.

    Args:
        checkpoint: model, processor, statistics and what they were made for.
        statistics_key: of the data set by whose statistics to un-normalise; the only one by default.
        stochastic: whether to sample.
        temperature: of the samples.
        crop: share of a picture's area that is kept, its middle, for checkpoints that do not say how they were trained:
            the original evaluates models that it trained on random crops at 0.9.
        camera: of the task, whose pictures are seen; by default the checkpoint's own choice.

    Raises:
        CheckpointError: there are no such statistics, or several and no key.
        UsageError: the crop is no share, or the checkpoint says itself what is done to pictures.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        statistics_key: str = "",
        stochastic: bool = False,
        temperature: float = 1.0,
        crop: float | None = None,
        camera: str = "",
    ) -> None:
        key, self._statistics = statistics_of(checkpoint.norm_stats, statistics_key)
        self._parallel = checkpoint.config.decoding == "parallel"
        if self._parallel and len(self._statistics["low"]) != ACTION_DIMENSIONS:
            raise CheckpointError(f"The statistics of '{key}' are of actions of another size than the model's.")
        own = next(iter(checkpoint.image_sizes))
        self.stochastic = stochastic
        self.metadata = PolicyMetadata(
            kind="openvla",
            action_contract=checkpoint.action_contract,
            image_sizes={camera or own: checkpoint.image_sizes[own]},
            statistics_key=key,
            weight_hash=checkpoint.weight_hash,
            checkpoint_step=checkpoint.step,
            stochastic=stochastic,
        )
        self._checkpoint, self._temperature = checkpoint, temperature
        self._contract = checkpoint.action_contract
        self._camera = camera or own
        self._treated = _treatment(checkpoint.images.get(own), crop, checkpoint.config.image_size)
        self._predicted = Merged(self._predict_asks)
        self._instruction = ""
        self._generator = torch.Generator().manual_seed(0)

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode; the samples of a stochastic policy descend from `seed`."""
        self._contract = self.metadata.action_contract or ActionContract.of(task)
        self._instruction, self._generator = instruction, _generator(seed)

    def act(self, observation: Observation) -> np.ndarray:
        """One normalised action (1, 7)."""
        assert self._contract is not None, "reset() comes first"
        generator = self._generator if self.stochastic else None
        action = self._predicted((observation["images"][self._camera], self._instruction, generator))
        return self._contract.to_normalized(action[None])

    def session(self) -> "OpenVLAPolicy":
        """The same model in an episode of its own; what sessions ask at the same time is one batch."""
        return copy.copy(self)

    def _predict_asks(self, asks: Sequence[Ask]) -> list[np.ndarray]:
        images, instructions, generators = zip(*asks, strict=True)
        return list(self.predict_batch(images, instructions, generators if self.stochastic else None))

    def predict(
        self,
        images: Images,
        instruction: str,
        seed: int | None = None,
        *,
        goal: Images | None = None,
        proprio: np.ndarray | None = None,
    ) -> np.ndarray:
        """One action (1, 7) in the data set's units for one frame; sampled if a seed is given.

        Raises `UsageError` if a goal or a state is given, which OpenVLA does not take.
        """
        if goal or proprio is not None:
            raise UsageError("OpenVLA takes an image and an instruction, neither a goal image nor the robot's state.")
        generators = None if seed is None else [_generator(seed)]
        return self.predict_batch([images[self._camera]], [instruction], generators)

    def predict_batch(
        self,
        images: Sequence[np.ndarray],
        instructions: Sequence[str],
        generators: Sequence[torch.Generator] | None = None,
    ) -> np.ndarray:
        """Actions (B, 7) float64 in the data set's units of several frames at once, each as if it were alone.

        Args:
            images: (H, W, 3) uint8 RGB each, of any size.
            instructions: one per image.
            generators: one per image, to sample; None: greedy.

        Raises:
            UsageError: a sample is asked for of a model that decodes in parallel, or a picture is no picture.
        """
        model, processor = self._checkpoint.model, self._checkpoint.processor
        pictures = [self._treated(image) for image in images]
        batch = processor([processor.inference_prompt(text) for text in instructions], pictures)
        weight = model.projector.fc1.weight
        ids, mask = batch["input_ids"].to(weight.device), batch["attention_mask"].to(weight.device)
        pixels = batch["pixel_values"].to(weight.device, weight.dtype)
        if self._parallel:
            if generators is not None:
                raise UsageError("A model that decodes in parallel gives one action, so there is nothing to sample.")
            actions = model.predict_actions(ids, mask, pixels).double().cpu().numpy()
        else:
            sampled = generators is not None
            tokens = model.generate_actions(
                ids,
                mask,
                pixels,
                temperature=self._temperature if sampled else 0.0,
                generators=generators,
                restricted=sampled,  # a word drawn by chance would be an extreme action
                dimensions=len(self._statistics["low"]),
            )
            actions = processor.actions.decode(tokens.cpu().numpy())
        return restored(actions, self._statistics)


def _treatment(trained: ImageTransform | None, crop: float | None, size: int) -> Callable[[np.ndarray], np.ndarray]:
    """What is done to a picture before the processor."""
    if crop is None:
        return trained or (lambda image: image)
    if trained is not None or not 0 < crop <= 1:
        what = "the checkpoint knows its own" if trained else f"got {crop}"
        raise UsageError(f"A crop is a share of the area, above 0 and up to 1, of foreign checkpoints only; {what}.")
    return lambda image: centre_crop(image, crop**0.5, crop**0.5, (size, size))


def _generator(seed: int) -> torch.Generator:
    """The stream of an episode's or a frame's samples; not the one that draws the scene."""
    return torch.Generator().manual_seed(int(np.random.default_rng([seed, 3]).integers(2**62)))


def load_openvla(
    source: str | Path,
    step: int | None = None,
    *,
    statistics_key: str = "",
    stochastic: bool = False,
    crop: float | None = None,
    bits: Bits | None = None,
    compiled: bool = False,
    camera: str = "",
    device: str | None = None,
) -> OpenVLAPolicy:
    """The policy in a run or checkpoint folder or on the hub, of the last step by default; on a GPU if there is one.

    A GPU computes in bfloat16, as the model was trained; a CPU in float32 while the model is small. `compiled` decodes
    faster on a GPU, after a slow first answer.

    Raises `CheckpointError` if there is no such checkpoint.
    """
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if place.startswith("cuda") else None
    folder = local_folder(source, step)
    if place == "cpu" and _size(folder) < _SMALL:
        dtype = torch.float32
    checkpoint = load_checkpoint(source, step, dtype=dtype, device=place, bits=bits)
    if compiled:
        checkpoint.model.compile_for_acting()
    return OpenVLAPolicy(checkpoint, statistics_key=statistics_key, stochastic=stochastic, crop=crop, camera=camera)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
