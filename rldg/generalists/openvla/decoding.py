"""From a prompt to the tokens of an action, one after the other, with the keys and values kept."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, LlamaForCausalLM, StaticCache

from rldg.errors import UsageError
from rldg.generalists.openvla.config import PAD, SPACE

ROUNDED = 64  # to multiples of it, lengths of fixed memory: other instructions seldom compile anew

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
    """Greedy at temperature 0, else one draw per row from its own generator (of the CPU).

    With `first` and `end`, only ids from `first` to `end` - 1 are chosen among.

    Raises `UsageError` if the temperature is negative, or there is one and no generators.
    """
    if temperature < 0 or (temperature and generators is None):
        raise UsageError(f"Sampling takes a temperature above 0 and a generator per row; got {temperature}.")

    def choose(logits: Tensor) -> Tensor:
        among, offset = (logits, 0) if first is None else (logits[:, first:end], first)
        if not temperature:
            return among.argmax(-1) + offset
        shares = (among.float() / temperature).softmax(-1).cpu()  # where a seed draws the same on every machine
        drawn = [torch.multinomial(row, 1, generator=g) for row, g in zip(shares, generators or (), strict=True)]
        return torch.cat(drawn).to(logits.device) + offset

    return choose


def next_logits(
    language: LlamaForCausalLM, tokens: Tensor, mask: Tensor | None, positions: Tensor, cache: Cache
) -> Tensor:
    """Logits (B, vocabulary) after one token more (B, 1) at `positions` (B, 1); the cache grows by it."""
    hidden = language.model(
        input_ids=tokens, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
    ).last_hidden_state
    return language.lm_head(hidden[:, 0])


class Decoder:
    """Decodes with keys and values in memory that grows; fit for any device and any lengths.

    Logits are computed of the last token only. A token's position counts what its own row holds, so that rows of
    different lengths do not notice each other.
    """

    def __call__(
        self, language: LlamaForCausalLM, embeddings: Tensor, mask: Tensor, count: int, choose: Chooser
    ) -> Tensor:
        """Token ids (B, count) that follow embedded prompts (B, S, D), padded at the right as `mask` (B, S) says."""
        cache = DynamicCache(config=language.config)
        padded = bool((~mask).any())
        logits = _first_logits(language, embeddings, mask, mask if padded else None, cache)
        tokens = [choose(logits)]
        for step in range(count - 1):
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            place = mask.sum(dim=1, keepdim=True) - 1
            logits = next_logits(language, tokens[step][:, None], mask if padded else None, place, cache)
            tokens.append(choose(logits))
        return torch.stack(tokens, dim=1)


class StaticDecoder:
    """Decodes with keys and values in fixed memory, so that the step per token can be compiled, to a CUDA graph say.

    On a GPU the 7B spends most of a token's time on launching kernels; a graph launches them at once. Compiling takes
    up to minutes at the first call, and again when the batch or the rounded length of the prompts changes.
    """

    def __init__(self, step: Callable[..., Tensor] = next_logits) -> None:
        self._step = step
        self._caches: dict[tuple[int, int], StaticCache] = {}

    def __call__(
        self, language: LlamaForCausalLM, embeddings: Tensor, mask: Tensor, count: int, choose: Chooser
    ) -> Tensor:
        """As `Decoder`, whose answers these are."""
        batch, length = mask.shape
        room = -(-(length + count) // ROUNDED) * ROUNDED
        cache = self._caches.get((batch, room))
        if cache is None:
            self._caches = {(batch, room): (cache := StaticCache(config=language.config, max_cache_len=room))}
        cache.reset()
        seen = torch.nn.functional.pad(mask, (0, room - length))
        causal = torch.ones(length, room, dtype=torch.bool, device=mask.device).tril()
        logits = _first_logits(language, embeddings, mask, (causal & seen[:, None, :])[:, None], cache)
        tokens, place = [choose(logits)], mask.sum(dim=1, keepdim=True)
        for step in range(count - 1):
            seen[:, length + step] = True
            logits = self._step(language, tokens[step][:, None], seen[:, None, None, :], place + step, cache)
            tokens.append(choose(logits))
        return torch.stack(tokens, dim=1)


def _first_logits(
    language: LlamaForCausalLM, embeddings: Tensor, mask: Tensor, attention: Tensor | None, cache: Cache
) -> Tensor:
    """Logits (B, vocabulary) after the last token of each row; the cache holds the rows then."""
    hidden = language.model(
        inputs_embeds=embeddings, attention_mask=attention, past_key_values=cache, use_cache=True
    ).last_hidden_state
    return language.lm_head(hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(dim=1) - 1])
