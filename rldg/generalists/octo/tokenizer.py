"""Instructions to token ids: T5's tokenizer files as their authors publish them, and words by their hash."""

import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from rldg.errors import CheckpointError
from rldg.generalists.octo.config import LanguageConfig
from rldg.stage import write_durably

COPY = "tokenizer"  # the folder beside a checkpoint that keeps its tokenizer's file
FILES = ("tokenizer.json", "spiece.model")  # of Hugging Face's tokenizers, of SentencePiece; in order of preference

_WORD = re.compile(r"[a-z]+|[0-9]|[^a-z0-9\s]")
_PAD, _END = 0, 1  # T5's ids


class TextTokenizer(Protocol):
    """Turns texts into `input_ids` and `attention_mask`, both int32 (B, max_length)."""

    @property
    def file(self) -> Path | None:
        """The file that it was read from; None if it needs none."""
        ...

    def __call__(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """The token ids of `texts`, padded with 0 and cut to the model's length."""
        ...


class WordTokenizer:
    """Words by their hash: no vocabulary file, the same ids on every machine, and any unseen word has an id as well.

    "USB-C" becomes "usb", "-", "c", so that related names share tokens. Id 0 is padding.
    """

    file = None

    def __init__(self, config: LanguageConfig) -> None:
        self.config = config

    def __call__(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """`input_ids` and `attention_mask`, both int32 (B, max_length)."""
        choices = self.config.vocabulary_size - 1
        words = [_WORD.findall(text.lower()) for text in texts]
        return _padded([[1 + zlib.crc32(word.encode()) % choices for word in row] for row in words], self.config)


class FileTokenizer:
    """A T5's own tokenizer, from its `tokenizer.json` or `spiece.model`; every text ends with the token `</s>`.

    Raises `CheckpointError` if the file is damaged, or has more tokens than the model's vocabulary.
    """

    def __init__(self, config: LanguageConfig, file: Path) -> None:
        self.config, self.file = config, file
        try:
            size, self._ids = _from_json(file) if file.suffix == ".json" else _from_sentencepiece(file)
        except Exception as error:  # both libraries raise whatever their parsers meet, `Exception` itself included
            raise CheckpointError(f"{file} cannot be read as a tokenizer: {error}.") from None
        if size > config.vocabulary_size:
            raise CheckpointError(
                f"{file} has {size} tokens and the model's vocabulary {config.vocabulary_size}: it is another model's."
            )

    def __call__(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """`input_ids` and `attention_mask`, both int32 (B, max_length); what is cut off, is cut before the `</s>`."""
        rows = [self._ids(text)[: self.config.max_length - 1] for text in texts]
        return _padded([[*row, _END] for row in rows], self.config)


def _from_json(file: Path) -> tuple[int, Callable[[str], list[int]]]:
    from tokenizers import Tokenizer  # not for models that read words

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer.get_vocab_size(), lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def _from_sentencepiece(file: Path) -> tuple[int, Callable[[str], list[int]]]:
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_file=str(file))
    return processor.get_piece_size(), lambda text: processor.encode(text)


def _padded(rows: Sequence[list[int]], config: LanguageConfig) -> dict[str, np.ndarray]:
    ids = np.full((len(rows), config.max_length), _PAD, np.int32)
    mask = np.zeros_like(ids)
    for number, row in enumerate(rows):
        kept = row[: config.max_length]
        ids[number, : len(kept)], mask[number, : len(kept)] = kept, 1
    return {"input_ids": ids, "attention_mask": mask}


def text_tokenizer(config: LanguageConfig, folder: Path | None = None) -> TextTokenizer:
    """The tokenizer of a model whose checkpoint lies in `folder` (None: of a new model).

    `config.encoder` is "words", or the name of a T5. Its files are looked for in `folder/tokenizer`, in a folder of
    that name beside the checkpoint or above it, from where the program runs, and then on the hub.

    Raises `CheckpointError` if they are found nowhere, or are damaged.
    """
    if config.encoder == "words":
        return WordTokenizer(config)
    places = [Path(config.encoder)]
    if folder is not None:
        around = [folder, *folder.absolute().parents[:2]]
        places = [folder / COPY, *(place / config.encoder for place in around), *places]
    for place in places:
        if file := _file_in(place):
            return FileTokenizer(config, file)
    from rldg.generalists.hub import download  # which most runs need not

    try:
        place = download(config.encoder, FILES)
    except CheckpointError as error:
        raise CheckpointError(
            f"The tokenizer '{config.encoder}' ({' or '.join(FILES)}) is in none of {', '.join(map(str, places))}; "
            f"nor did the hub help: {error}"
        ) from None
    if file := _file_in(place):
        return FileTokenizer(config, file)
    raise CheckpointError(f"'{config.encoder}' on the hub has no tokenizer ({' or '.join(FILES)}).")


def _file_in(folder: Path) -> Path | None:
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def keep_tokenizer(tokenizer: TextTokenizer, folder: Path) -> None:
    """Copies the file of a checkpoint's tokenizer beside it, so that it needs neither hub nor cache."""
    if tokenizer.file is not None:
        (folder / COPY).mkdir(parents=True, exist_ok=True)
        write_durably(folder / COPY / tokenizer.file.name, tokenizer.file.read_bytes())
