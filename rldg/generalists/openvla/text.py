"""Prompts, and the tokenizers that read them: a published one from its files, or a small one that needs none."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, processors

from rldg.errors import CheckpointError
from rldg.generalists.openvla.config import BOS, EOS, PAD, SPACE

JSON, SENTENCEPIECE = "tokenizer.json", "tokenizer.model"
FILES = (JSON, SENTENCEPIECE, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")

QUESTION = "What action should the robot take to {}?"
PROMPTS = {
    "openvla": f"In: {QUESTION}\nOut:",
    "vicuna": "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
    f"detailed, and polite answers to the user's questions. USER: {QUESTION} ASSISTANT:",
}

Encode = Callable[[str], list[int]]  # from a text to ids, without the first `BOS`

# Words of the small tokenizer besides those of the prompt; others are read in pieces, down to letters and bytes.
_WORDS = """a all and arm away back bag bin block blue board bottle bowl box button cable close closed connect connector
connectors cube cup cylinder display door down drawer drop end ethernet first from front gently grasp gray green grip
gripper handle hdmi hole in insert inside into it its left lid lift middle microphone monitor's move network object of
off on open orange out over peg pick pin place plug port press pull purple push put red release remove right rj45 rotate
round second shelf side slide slot socket square stack table the then third to top tower turn type up usb vga way white
wire with xlr yellow"""


def prompt(kind: str, instruction: str) -> str:
    """What the model is asked; "openvla", or "vicuna" as openvla-v01."""
    return PROMPTS[kind].format(instruction.lower())


def read_tokenizer(folder: Path | None) -> tuple[Encode, dict[str, bytes]]:
    """The tokenizer in a checkpoint's folder and the files it consists of; without a folder, the small one.

    Raises `CheckpointError` if there is none, it is damaged, or not Llama's kind: OpenVLA needs its ids.
    """
    if folder is None:
        return _encoder(Tokenizer.from_str(small_files()[JSON].decode())), small_files()
    file = next((folder / name for name in (JSON, SENTENCEPIECE) if (folder / name).is_file()), None)
    if file is None:
        raise CheckpointError(f"{folder} has no tokenizer ({JSON} or {SENTENCEPIECE}).")
    try:
        if file.name == JSON:
            encode = _encoder(Tokenizer.from_file(str(file)))
        else:
            from sentencepiece import SentencePieceProcessor  # older checkpoints have nothing else

            encode = SentencePieceProcessor(model_file=str(file)).encode
        ids = encode("Out: ")
    except Exception as error:  # both libraries raise whatever their parsers meet, `Exception` itself included
        raise CheckpointError(f"{file} cannot be read as a tokenizer: {error}.") from None
    if ids[-1:] != [SPACE]:
        raise CheckpointError(f"{file} is not Llama 2's: a space is {ids[-1:]} there, and {SPACE} for OpenVLA.")
    return encode, {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}


def _encoder(tokenizer: Tokenizer) -> Encode:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


@cache
def small_files() -> dict[str, bytes]:
    """A tokenizer of Llama 2's form, made of nothing: bytes, letters, words that tasks use, and signs for actions.

    Special ids, the lone space and the last 256 ids are where OpenVLA expects them; most of the others are unused.
    """
    vocabulary = {"<unk>": 0, "<s>": BOS, "</s>": EOS} | {f"<0x{byte:02X}>": byte + 3 for byte in range(256)}
    merges: dict[tuple[str, str], None] = {}
    words = " ".join(PROMPTS["openvla"].replace(":", " ").split()) + " " + _WORDS
    for word in sorted({word for word in words.split() if word.replace("'", "").isalnum()}):
        for end in range(1, len(word) + 1):
            merges[f"▁{word[: end - 1]}", word[end - 1]] = None
    letters = [chr(code) for code in range(0x21, 0x7F)]
    for piece in [a + b for a, b in merges]:
        vocabulary.setdefault(piece, len(vocabulary))
    vocabulary |= {f"<unused{number}>": number for number in range(len(vocabulary), SPACE)}
    vocabulary |= {"▁": SPACE} | {letter: SPACE + 1 + number for number, letter in enumerate(letters)}
    vocabulary |= {f"<unused{number}>": number for number in range(len(vocabulary), PAD - 256)}
    vocabulary |= {chr(0x4E00 + number): PAD - 256 + number for number in range(256)}
    tokenizer = Tokenizer(models.BPE(vocabulary, list(merges), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", BOS)])
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<PAD>"}
    tokenizer.add_special_tokens(list(special.values()))
    contents = {
        "tokenizer_config.json": special
        | {
            "add_bos_token": True,
            "add_eos_token": False,
            "auto_map": {"AutoProcessor": "processing_prismatic.PrismaticProcessor"},
            "clean_up_tokenization_spaces": False,
            "legacy": False,
            "model_max_length": 2048,
            "padding_side": "right",
            "processor_class": "PrismaticProcessor",
            "tokenizer_class": "LlamaTokenizer",
        },
        "special_tokens_map.json": special,
        "added_tokens.json": {"<PAD>": PAD},
    }
    return {JSON: tokenizer.to_str().encode()} | {name: _bytes(content) for name, content in contents.items()}


def _bytes(content: Any) -> bytes:
    return json.dumps(content, indent=2).encode()
