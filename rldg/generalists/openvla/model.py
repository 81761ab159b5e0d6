"""OpenVLA: image patches between the first token and the rest of the prompt, read by a Llama."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from rldg.generalists.openvla import decoding
from rldg.generalists.openvla.config import ACTION_DIMENSIONS, EOS, IGNORED, PAD, LlamaSizes, OpenVLAConfig
from rldg.generalists.openvla.parallel import ActionHead, slot_mask
from rldg.generalists.openvla.vision import Projector, VisionBackbone


@dataclass
class Output:
    """Of a forward pass.

    logits: (B, S, vocabulary) over the multimodal sequence, S = patches + text; (L, vocabulary) where only labelled
        positions were asked for, each row predicting its entry of `labels` (L,).
    loss: mean over the labelled positions, float32; of parallel decoding, the mean absolute error.
    actions: (B, 7) in [-1, 1], of parallel decoding.
    """

    logits: Tensor | None = None
    loss: Tensor | None = None
    labels: Tensor | None = None
    actions: Tensor | None = None


class OpenVLA(nn.Module):
    """The whole model, with random weights. Parameters carry the original's names.

    Under `torch.device("meta")` it takes no memory.
    """

    def __init__(self, config: OpenVLAConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_backbone = VisionBackbone(config.towers, config.image_size)
        self.projector = Projector(config.towers, config.llama.hidden_size)
        self.language_model = LlamaForCausalLM(llama_config(config.llama))
        self.decoder: decoding.Decoder | decoding.StaticDecoder = decoding.Decoder()
        if config.decoding == "parallel":
            self.action_head = ActionHead(config.llama.hidden_size)

    def embed(self, input_ids: Tensor, attention_mask: Tensor | None, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, S, D) of the multimodal sequence, and which of its positions are no padding (B, S) bool.

        The patches follow the first token of `input_ids` (B, T), so padding must stand at the right; S = patches + T.
        """
        patches = self.projector(self.vision_backbone(pixel_values))
        text = self.language_model.get_input_embeddings()(input_ids)
        mask = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        seen = mask.new_ones(patches.shape[:2])
        return _inserted(text, patches), _inserted(mask, seen)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        labels: Tensor | None = None,
        *,
        actions: Tensor | None = None,
        labelled_only: bool = False,
    ) -> Output:
        """Teacher-forced pass over right-padded sequences; without pixels, over the text alone.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T), nonzero where there is no padding; None: no padding.
            pixel_values: (B, 3 per tower, H, W), see `Processor`.
            labels: (B, T), the ids to predict, `IGNORED` where nothing is to be learnt.
            actions: (B, 7) in [-1, 1], what parallel decoding is to predict; `input_ids` are then the prompt alone.
            labelled_only: compute only the logits that predict a label; there is then no (B, S, vocabulary).
        """
        if self.config.decoding == "parallel" and pixel_values is not None:
            predicted = self._parallel(*self.embed(input_ids, attention_mask, pixel_values))
            return Output(loss=None if actions is None else F.l1_loss(predicted, actions.float()), actions=predicted)
        if pixel_values is None:
            hidden = self.language_model.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        else:
            embeddings, mask = self.embed(input_ids, attention_mask, pixel_values)
            hidden = self.language_model.model(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
            if labels is not None:
                labels = _inserted(labels, labels.new_full((len(labels), self.config.patches), IGNORED))
        head = self.language_model.lm_head
        if labels is None:
            return Output(head(hidden))
        before, wanted = hidden[:, :-1], labels[:, 1:]
        if labelled_only:
            counts = wanted != IGNORED
            logits, chosen = head(before[counts]), wanted[counts]
            return Output(logits, F.cross_entropy(logits.float(), chosen), chosen)
        logits = head(hidden)
        loss = F.cross_entropy(logits[:, :-1].float().flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)
        return Output(logits, loss, labels)

    @torch.no_grad()  # not inference mode, whose tensors compiled code cannot change
    def generate_actions(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        pixel_values: Tensor,
        *,
        temperature: float = 0.0,
        generators: Sequence[torch.Generator] | None = None,
        restricted: bool = False,
        dimensions: int = ACTION_DIMENSIONS,
    ) -> Tensor:
        """Token ids (B, dimensions) of the actions that follow the prompts, greedy unless there is a temperature.

        Args:
            input_ids: (B, T), prompts of any lengths, padded on either side; `SPACE` is appended where it is missing.
            attention_mask: (B, T), nonzero where there is no padding.
            pixel_values: (B, 3 per tower, H, W).
            temperature: of the samples; each row draws from its own of `generators`, so that a batch gives what its
                rows give alone.
            generators: one per row.
            restricted: choose among the tokens of actions only; the original chooses among all.
            dimensions: numbers of an action.
        """
        prompts, mask = decoding.before_action(input_ids, attention_mask)
        embeddings, mask = self.embed(prompts, mask, pixel_values)
        allowed = self.config.text_vocabulary - self.config.bins if restricted else None
        choose = decoding.chooser(temperature, generators, allowed, self.config.text_vocabulary)
        return self.decoder(self.language_model, embeddings, mask, dimensions, choose)

    @torch.inference_mode()
    def predict_actions(self, input_ids: Tensor, attention_mask: Tensor | None, pixel_values: Tensor) -> Tensor:
        """Actions (B, 7) in [-1, 1] of parallel decoding, from one forward pass."""
        prompts, mask = decoding.before_action(input_ids, attention_mask)
        return self._parallel(*self.embed(prompts, mask, pixel_values))

    def _parallel(self, embeddings: Tensor, mask: Tensor) -> Tensor:
        batch, _, width = embeddings.shape
        slots = embeddings.new_zeros(batch, ACTION_DIMENSIONS, width)
        mask = torch.cat([mask, mask.new_ones(batch, ACTION_DIMENSIONS)], dim=1)
        hidden = self.language_model.model(
            inputs_embeds=torch.cat([embeddings, slots], dim=1),
            attention_mask=slot_mask(mask, ACTION_DIMENSIONS),
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            use_cache=False,
        ).last_hidden_state
        return self.action_head(hidden[:, -ACTION_DIMENSIONS:])

    def compile_for_acting(self) -> None:
        """Compiles the vision towers and the step per token, on a GPU to CUDA graphs; first answers take minutes."""
        self.vision_backbone.compile(mode="reduce-overhead")
        self.decoder = decoding.StaticDecoder(torch.compile(decoding.next_logits, mode="reduce-overhead"))

    def restore_buffers(self) -> None:
        """Makes anew what no checkpoint holds, the frequencies of the positions; on the present default device."""
        llama = self.language_model.model
        llama.rotary_emb = LlamaRotaryEmbedding(config=llama.config)

    def checkpoint_activations(self) -> None:
        """Trades time for memory in training: activations of blocks are computed anew in the backward pass."""
        self.language_model.activation_checkpointing_enable({"use_reentrant": False})
        for tower in self.vision_backbone.towers():
            tower.checkpointing = True


def llama_config(sizes: LlamaSizes) -> LlamaConfig:
    """The language model in transformers' terms; attention is then PyTorch's own, which is flash where it can be."""
    found: dict[str, Any] = asdict(sizes)
    rope = {"rope_type": "default", "rope_theta": found.pop("rope_theta")}
    return LlamaConfig(
        **found,
        rope_parameters=rope,
        pad_token_id=PAD,
        eos_token_id=EOS,
        tie_word_embeddings=False,
        use_cache=False,
    )


def _inserted(text: Tensor, patches: Tensor) -> Tensor:
    """What belongs to the patches (B, P, ...) after the first position of what belongs to the text (B, T, ...)."""
    return torch.cat([text[:, :1], patches.to(text.dtype), text[:, 1:]], dim=1)
