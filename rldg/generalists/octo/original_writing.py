"""Our `ModelConfig` to Octo's own `config.json`, so that the original's code builds the same model."""

import dataclasses
from typing import Any

from rldg.generalists.octo.config import (
    ContinuousConfig,
    DiffusionConfig,
    DiscreteConfig,
    HeadConfig,
    ImageConfig,
    ModelConfig,
    StemConfig,
    TokenLearnerConfig,
)
from rldg.generalists.octo.original_names import COMPONENTS, HEADS, LOWDIM, POOLING, STEMS, Classes


def only_in_rldg(model: ModelConfig) -> list[str]:
    """What of `model` the original's code cannot build; empty if it can."""
    found = []
    if model.language and model.language.t5 is None:
        found.append(f"the text encoder '{model.language.encoder}'")
    for image in model.images:
        stem = image.stem
        if isinstance(stem, StemConfig) and (stem.block != 1 or stem.groups != 32):
            found.append(f"the stem of '{image.name}': blocks of {stem.block} pixels, {stem.groups} groups")
        if stem.module not in STEMS:
            found.append(f"the stem of '{image.name}': {stem.module}")
    if isinstance(model.head, DiffusionConfig) and model.head.clip != "sample":
        found.append(f"the diffusion head's clipping of the {model.head.clip}")
    if isinstance(model.head, TokenLearnerConfig):
        found.append("the token learner's head")
    return found


def model_to_original(model: ModelConfig) -> dict[str, Any]:
    """The entries of an original `config.json` that describe `model`; the inverse of `model_from_original`.

    Of a model that the original's code cannot build (`only_in_rldg`), the entry `model` says no more than why.
    """
    sizes = {image.name: [image.size, image.size] for image in model.images}
    chunk = {"window_size": model.window, "action_horizon": model.head.action_horizon}
    entries = {
        "text_processor": None,
        "window_size": model.window,
        "dataset_kwargs": {"frame_transform_kwargs": {"resize_size": sizes}, "traj_transform_kwargs": chunk},
    }
    if lacking := only_in_rldg(model):
        return {"model": {"only_in_rldg": lacking}} | entries
    language = model.language
    if language:
        padded = {"max_length": language.max_length, "padding": "max_length", "return_tensors": "np"}
        entries["text_processor"] = {
            "module": "octo.data.utils.text_processing",
            "name": "HFTokenizer",
            "args": [],
            "kwargs": {
                "tokenizer_name": language.encoder,
                "tokenizer_kwargs": padded | {"truncation": True},
                "encode_with_model": False,
            },
        }
    observation = {image.name: _image_spec(image) for image in model.images}
    observation |= {tokens.name: _spec("tokenizers", "LowdimObsTokenizer", LOWDIM, tokens) for tokens in model.lowdim}
    text = {"encoder": language.encoder, "finetune_encoder": False} if language else {}
    return {
        "model": {
            "observation_tokenizers": observation,
            "task_tokenizers": {"language": _module("tokenizers", "LanguageTokenizer", text)} if language else {},
            "heads": {"action": _head_spec(model.head)},
            "readouts": {"action": model.readouts},
            "transformer_kwargs": dataclasses.asdict(model.transformer) | {"add_position_embedding": False},
            "token_embedding_size": model.width,
            "max_horizon": model.max_horizon,
            "repeat_task_tokens": model.repeat_task_tokens,
            "use_correct_attention": model.use_correct_attention,
        }
    } | entries


def _module(file: str, name: str, keywords: dict[str, Any]) -> dict[str, Any]:
    return {"module": f"{COMPONENTS}.{file}", "name": name, "args": [], "kwargs": keywords}


def _spec(file: str, name: str, classes: Classes, part: Any, **extra: Any) -> dict[str, Any]:
    """The specification of a part; the inverse of `_read`."""
    keywords = {keyword: getattr(part, field) for field, (keyword, _) in classes[name][1].items()}
    if "use_map" in keywords:
        keywords["use_map"] = keywords["use_map"] == POOLING[True]
    if isinstance(part, StemConfig):
        keywords["patch_size"] *= 16
    return _module(file, name, extra | keywords)


def _image_spec(image: ImageConfig) -> dict[str, Any]:
    keys = [f"image_{image.name}"]
    keywords = {
        "obs_stack_keys": keys,
        "task_stack_keys": keys if image.goal else [],
        "task_film_keys": list(image.film_keys),
        "use_token_learner": image.learned_tokens > 0,
        "num_tokens": image.learned_tokens or 8,
        "encoder": _spec("vit_encoders", image.stem.module, STEMS, image.stem),
    }
    return _module("tokenizers", "ImageTokenizer", keywords)


def _head_spec(head: HeadConfig) -> dict[str, Any]:
    match head:
        case DiffusionConfig():
            name = "DiffusionActionHead"
        case ContinuousConfig():
            name = "L1ActionHead" if head.loss == "l1" else "MSEActionHead"
        case DiscreteConfig():
            name = "DiscreteActionHead"
        case TokenLearnerConfig():
            raise ValueError("only in rldg")
    return _spec("action_heads", name, HEADS, head, readout_key="readout_action")
