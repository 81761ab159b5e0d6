"""From texts to token ids."""

import re
import zlib
from collections.abc import Sequence

import numpy as np

from rldg.errors import CheckpointError
from rldg.generalists.octo.config import LanguageConfig

_WORD = re.compile(r"[a-z]+|[0-9]|[^a-z0-9\s]")


class WordTokenizer:
    """Words by their hash: no vocabulary file, the same ids on every machine, and any unseen word has an id as well.

    "USB-C" becomes "usb", "-", "c", so that related names share tokens. Id 0 is padding.
    """

    def __init__(self, config: LanguageConfig) -> None:
        self.config = config

    def __call__(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """`input_ids` and `attention_mask`, both int32 (B, max_length)."""
        ids = np.zeros((len(texts), self.config.max_length), np.int32)
        for row, text in enumerate(texts):
            words = _WORD.findall(text.lower())[: self.config.max_length]
            ids[row, : len(words)] = [
                1 + zlib.crc32(word.encode()) % (self.config.vocabulary_size - 1) for word in words
            ]
        return {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int32)}


def text_tokenizer(config: LanguageConfig) -> WordTokenizer:
    """The tokenizer that belongs to `config`; raises `CheckpointError` for encoders that this package cannot run."""
    if config.encoder != "words":
        raise CheckpointError(f"The text encoder '{config.encoder}' is not supported; valid: words.")
    return WordTokenizer(config)
