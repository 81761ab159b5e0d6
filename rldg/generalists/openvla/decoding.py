"""From a prompt to the tokens of an action, one after the other, with the keys and values kept."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, LlamaForCausalLM

from rldg.errors import UsageError
from rldg.generalists.openvla.config import PAD, SPACE

Chooser = Callable[[Tensor], Tensor]  # from logits (B, vocabulary) to token ids (B,)


def before_action(input_ids: Tensor, attention_mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Prompts (B, T) that all end with `SPACE`, padded at the right, and their mask.

    The image goes after the first token, so padding before it moves behind the prompt. The original appends the space
    without lengthening the mask, which fails with some kinds of attention.
    """
    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    rows = [ids[kept] for ids, kept in zip(input_ids, mask.bool(), strict=True)]
    space = input_ids.new_tensor([SPACE])
    rows = [row if len(row) and row[-1] == SPACE else torch.cat([row, space]) for row in rows]
    lengths = torch.tensor([len(row) for row in rows], device=input_ids.device)
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
    return padded, torch.arange(padded.shape[1], device=input_ids.device) < lengths[:, None]


def chooser(
    temperature: float, generators: Sequence[torch.Generator] | None, first: int | None = None, end: int | None = None
) -> Chooser:
    """Greedy at temperature 0, else one draw per row from its own generator; among ids `first` .. `end` - 1 if given.

    Raises `UsageError` if the temperature is negative, or there is one and no generators.
    """
    if temperature < 0 or (temperature and generators is None):
        raise UsageError(f"Sampling takes a temperature above 0 and a generator per row; got {temperature}.")

    def choose(logits: Tensor) -> Tensor:
        among, offset = (logits, 0) if first is None else (logits[:, first:end], first)
        if not temperature:
            return among.argmax(-1) + offset
        shares = (among.float() / temperature).softmax(-1)
        drawn = [torch.multinomial(row, 1, generator=g) for row, g in zip(shares, generators or (), strict=True)]
        return torch.cat(drawn) + offset

    return choose


def decode(language: LlamaForCausalLM, embeddings: Tensor, mask: Tensor, count: int, choose: Chooser) -> Tensor:
    """Token ids (B, count) that follow embedded prompts (B, S, D), padded at the right as `mask` (B, S) says.

    Logits are computed of the last token only. A token's position counts what its own row holds, so that rows of
    different lengths do not notice each other.
    """
    cache = DynamicCache(config=language.config)
    lengths = mask.sum(dim=1)
    padded = bool((lengths < mask.shape[1]).any())
    hidden = language.model(
        inputs_embeds=embeddings, attention_mask=mask if padded else None, past_key_values=cache, use_cache=True
    ).last_hidden_state
    last = hidden[torch.arange(len(hidden), device=hidden.device), lengths - 1]
    tokens = []
    for step in range(count):
        tokens.append(choose(language.lm_head(last)))
        if step == count - 1:
            break
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        last = language.model(
            input_ids=tokens[-1][:, None],
            attention_mask=mask if padded else None,
            position_ids=(lengths + step)[:, None],
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[:, 0]
    return torch.stack(tokens, dim=1)
