"""What a trained Octo is shown: from a robot's pictures and state, and an instruction, to the model's inputs."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from rldg.data.normalisation import Normalisation
from rldg.env.types import STATE_PARTS
from rldg.errors import UnknownNameError, UsageError
from rldg.generalists.octo.checkpoint import Checkpoint
from rldg.generalists.octo.t5 import encode
from rldg.generalists.octo.tokenizer import text_tokenizer

Images = Mapping[str, np.ndarray]  # camera -> (H, W, 3) uint8 RGB


class Inputs:
    """Prepares frames and tasks as the training of a checkpoint did.

    Args:
        checkpoint: the model and what is done to its pictures.
        statistics: by which the state is normalised, one entry of the checkpoint's.
        cameras: slot of the model -> camera that fills it, where the checkpoint's own choice does not fit.

    Raises:
        UnknownNameError: the model has no such slot.
    """

    def __init__(
        self, checkpoint: Checkpoint, statistics: dict[str, Any], cameras: Mapping[str, str] | None = None
    ) -> None:
        model = checkpoint.model
        slots = {image.name: image.camera for image in model.images}
        for slot in cameras or {}:
            if slot not in slots:
                raise UnknownNameError("picture of the model", slot, slots)
        self._cameras = slots | dict(cameras or {})
        self._goals = {image.name: image.goal for image in model.images}
        self._transforms = checkpoint.images
        self._proprio = Normalisation.of(statistics, "proprio") if model.lowdim and "proprio" in statistics else None
        self._language = _language(checkpoint)
        # Camera of the task -> pixels of the frames that the model was trained on.
        self.image_sizes = {self._cameras[slot]: checkpoint.image_sizes[camera] for slot, camera in slots.items()}

    @property
    def no_proprio(self) -> np.ndarray | None:
        """A state of zeros, if the model reads one."""
        return self._proprio and np.zeros(len(self._proprio.offset), np.float32)

    def proprio(self, state: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """What of the parts of a state the model reads, in the data set's units; None: it reads none."""
        return np.concatenate([state[part] for part in STATE_PARTS]) if self._proprio else None

    def frame(self, images: Images, proprio: np.ndarray | None) -> dict[str, np.ndarray]:
        """One frame of the observation: `image_<slot>`, and `proprio` if there is one.

        Raises `UsageError` if the state has another size than the data set's.
        """
        found = {f"image_{slot}": self._transforms[slot](images[camera]) for slot, camera in self._cameras.items()}
        if proprio is not None:
            if self._proprio is None or len(proprio) != len(self._proprio.offset):
                wanted = "no state" if self._proprio is None else f"a state of {len(self._proprio.offset)} numbers"
                raise UsageError(f"The model reads {wanted}; got {len(proprio)} numbers.")
            found["proprio"] = self._proprio.normalise(proprio)
        return found

    def task(self, instruction: str, goal: Images | None = None) -> dict[str, Any]:
        """The task, a batch of one; raises `UsageError` for a goal that the model does not take."""
        task: dict[str, Any] = {"pad_mask_dict": {"language_instruction": np.array([bool(instruction)])}}
        if self._language is not None:
            task["language_instruction"] = self._language(instruction)
        for slot, camera in self._cameras.items() if goal else ():
            if not self._goals[slot]:
                raise UsageError(f"The model's images of '{camera}' take no goal beside them.")
            if goal and camera in goal:
                task[f"image_{slot}"] = self._transforms[slot](goal[camera])[None]
        return task


def _language(checkpoint: Checkpoint) -> Callable[[str], Any] | None:
    """From an instruction to what the model is given of it: embeddings of a T5, or token ids."""
    config = checkpoint.model.language
    if config is None:
        return None
    tokenizer = text_tokenizer(config, checkpoint.folder)
    if config.t5 is None:
        return lambda text: tokenizer([text])
    t5 = config.t5
    weights = jax.device_put(checkpoint.params["octo_transformer"]["task_tokenizers_language"]["hf_model"])
    read = jax.jit(lambda weights, tokens: encode(weights, t5, tokens["input_ids"], tokens["attention_mask"]))
    return lambda text: read(weights, tokenizer([text]))
