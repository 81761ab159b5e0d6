"""What an OpenVLA's training minimises, and how far the model's own choice of actions is off."""

from typing import Any

import torch
from torch import Tensor, nn

from rldg.generalists.openvla.action_tokenizer import ActionTokenizer
from rldg.generalists.openvla.config import ACTION_DIMENSIONS
from rldg.generalists.openvla.model import OpenVLA, Output

Batch = dict[str, Tensor]  # see `rldg.generalists.openvla.batches`


class Objective(nn.Module):
    """What runs on each process.

    With a `spread` above 0 the target of an action token is no single bin but a normal distribution about it, of that
    deviation in bins (Imani and White 2018): neighbouring bins are neighbours then to a model that begins at random.
    """

    def __init__(self, model: OpenVLA, *, bfloat16: bool = False, spread: float = 0.0) -> None:
        super().__init__()
        self.model, self._bfloat16, self._spread = model, bfloat16, spread
        self._end, self._first = model.config.text_vocabulary, model.config.text_vocabulary - model.config.bins
        self._bin = 2 / (model.config.bins - 1)
        centres = torch.tensor(ActionTokenizer(model.config).centres, dtype=torch.float32)
        self.register_buffer("_centres", centres, persistent=False)
        if spread:
            bins = torch.arange(model.config.bins)
            nearness = torch.softmax(-0.5 * ((bins[:, None] - bins) / spread) ** 2, dim=1)
            self.register_buffer("_nearness", nearness, persistent=False)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss, and (8,): the share of action tokens that are right, and the mean error of each normalised number.

        The loss is the mean of -log p over the seven tokens of an action and the end that follows them; of parallel
        decoding it is the mean error, and a number is right within half a bin.
        """
        device = next(self.model.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=self._bfloat16):
            found = self.model(**batch, labelled_only=True)
        if found.actions is not None:
            off = (found.actions.detach() - batch["actions"]).abs()
            right = (off < self._bin / 2).float().mean()
            return found.loss, torch.cat([right[None], off.mean(0)])
        chosen = found.logits.detach().argmax(-1).view(-1, ACTION_DIMENSIONS + 1)[:, :-1]
        wanted = found.labels.view(-1, ACTION_DIMENSIONS + 1)[:, :-1]
        errors = (self._decoded(chosen) - self._decoded(wanted)).abs().mean(0)
        loss = self._spread_loss(found) if self._spread else found.loss
        return loss, torch.cat([(chosen == wanted).float().mean()[None], errors])

    def _spread_loss(self, found: Output) -> Tensor:
        logits, labels, nearness = found.logits, found.labels, self._nearness
        assert logits is not None and labels is not None and isinstance(nearness, Tensor)
        logits = logits.float()
        exact = logits.gather(1, labels[:, None])[:, 0]
        about = (nearness[(labels - self._first).clamp(min=0)] * logits[:, self._first : self._end]).sum(-1)
        return (logits.logsumexp(-1) - torch.where(labels < self._first, exact, about)).mean()

    def _decoded(self, ids: Tensor) -> Tensor:
        centres: Any = self._centres
        return centres[(self._end - ids - 1).clamp(0, len(centres) - 1)]
