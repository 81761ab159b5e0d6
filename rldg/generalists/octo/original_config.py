"""Octo's own `config.json` to our `ModelConfig`.

The original names a class and its keywords for every part (a "ModuleSpec"; see `original_names`). What is unknown is
refused: a model that was built otherwise would run and act wrongly.
"""

from collections.abc import Mapping
from typing import Any

import pydantic

from rldg.errors import CheckpointError
from rldg.generalists.octo.config import (
    HeadConfig,
    ImageConfig,
    LanguageConfig,
    ModelConfig,
    T5Config,
    TransformerConfig,
)
from rldg.generalists.octo.original_names import HEADS, LOWDIM, POOLING, STEMS, TRANSFORMER, Classes, Fields

Shapes = Mapping[str, tuple[int, ...]]  # path "a/b/c" -> shape

# What may stand in a specification without a meaning here, with the only value that it may have.
_FIXED = {
    "readout_key": "readout_action",
    "proper_pad_mask": True,
    "conditioning_type": "none",
    "add_position_embedding": False,
}
_FREE = {"finetune_encoder"}  # whether T5 is trained is the recipe's choice here


def model_from_original(config: Mapping[str, Any], shapes: Shapes, example: Shapes) -> ModelConfig:
    """The model that an original `config.json` describes.

    The sizes of T5 are those of the weights, whose `shapes` are given; image sizes and the window are those of the
    example batch (shapes of its entries, "observation/image_primary" for instance) or else of `config`. Each camera is
    called like its slot. An image slot that the example batch lacks and that has no weights was never used, and is
    left out.

    Raises `CheckpointError` for what is missing, and for parts that this package does not have, naming them.
    """
    try:
        model = dict(config["model"])
        heads, readouts = dict(model.pop("heads")), dict(model.pop("readouts"))
        observation, task = dict(model.pop("observation_tokenizers")), dict(model.pop("task_tokenizers"))
        head = _head(_only(heads, "head"))
        images, lowdim = [], []
        for name, spec in observation.items():
            if spec.get("name") in LOWDIM:
                lowdim.append(_read(spec, LOWDIM, f"observation tokenizer '{name}'", name=name))
            elif f"observation/image_{name}" in example or f"octo_transformer/obs_{name}_projection/kernel" in shapes:
                images.append(_image(name, spec, config, example))
        transformer = _fields(dict(model.pop("transformer_kwargs")), TRANSFORMER, "the transformer")
        found = ModelConfig(
            images=tuple(images),
            lowdim=tuple(lowdim),
            language=_language(task, config.get("text_processor"), shapes),
            transformer=TransformerConfig(**transformer),
            head=head,
            width=model.pop("token_embedding_size"),
            readouts=_only(readouts, "readout"),
            window=_window(config, example),
            max_horizon=model.pop("max_horizon"),
            repeat_task_tokens=model.pop("repeat_task_tokens", False),
            use_correct_attention=model.pop("use_correct_attention", False),
        )
    except KeyError as error:
        raise CheckpointError(f"The configuration of the model has no {error}, so it is none of Octo's.") from None
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CheckpointError(f"The configuration of the model cannot be read: {place}: {first['msg']}.") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"The configuration of the model cannot be read: {error}.") from None
    _refuse(model, "the model")
    return found


def _read(spec: Any, classes: Classes, what: str, **extra: Any) -> Any:
    """The dataclass that a specification stands for."""
    name = spec["name"]
    if name not in classes or str(spec["module"]).split(".")[0] not in ("octo", "orca"):
        raise CheckpointError(
            f"The {what} is a {spec['module']}.{name}, which is not supported; valid: {', '.join(classes)}."
        )
    if spec.get("args"):
        raise CheckpointError(f"The {what} has positional arguments ({spec['args']}), which are not supported.")
    target, names = classes[name]
    return target(**extra, **_fields(dict(spec["kwargs"]), names, f"the {what}"))


def _fields(keywords: dict[str, Any], names: Fields, what: str) -> dict[str, Any]:
    """Our fields from the original's keywords."""
    found = {}
    for field, (keyword, default) in names.items():
        value = keywords.pop(keyword, default)
        if value is None and default is None:
            raise CheckpointError(f"The configuration of {what} lacks '{keyword}'.")
        found[field] = default if value is None else value
    if "pooling" in found:
        found["pooling"] = POOLING[bool(found["pooling"])]
    if "embedding_kernel" in found:
        found["embedding_kernel"] = found["embedding_kernel"] // 16
    _refuse(keywords, what)
    return found


def _refuse(keywords: Mapping[str, Any], what: str) -> None:
    """Raises for options that are left over, unless they say what is done here anyhow."""
    for keyword, value in keywords.items():
        if keyword not in _FREE and (keyword not in _FIXED or value != _FIXED[keyword]):
            raise CheckpointError(f"The option {keyword}={value!r} of {what} is not supported.")


def _only(named: Mapping[str, Any], what: str) -> Any:
    if set(named) != {"action"}:
        raise CheckpointError(f"The model has the {what}s {sorted(named)}; only one, named 'action', is supported.")
    return named["action"]


def _head(spec: Any) -> HeadConfig:
    keywords = dict(spec["kwargs"])
    for old in ("pred_horizon", "future_action_window_size"):  # names of 2023
        if old in keywords:
            keywords["action_horizon"] = keywords.pop(old)
    if spec["name"] in ("DiscreteActionHead", "TokenPerDimActionHead"):
        bounds = keywords.pop("low", None), keywords.pop("high", None)
        if bounds not in ((None, None), (0, 1)):
            raise CheckpointError(f"The action head's bins reach from {bounds[0]} to {bounds[1]}; valid: 0 to 1.")
    return _read(dict(spec) | {"kwargs": keywords}, HEADS, "action head")


def _image(name: str, spec: Any, config: Mapping[str, Any], example: Shapes) -> ImageConfig:
    what = f"observation tokenizer '{name}'"
    if spec["name"] != "ImageTokenizer":
        raise CheckpointError(
            f"The {what} is a {spec['module']}.{spec['name']}, which is not supported; valid: ImageTokenizer, "
            f"{', '.join(LOWDIM)}."
        )
    keywords = dict(spec["kwargs"])
    stack, goals = keywords.pop("obs_stack_keys", ["image_.*", "depth_.*"]), keywords.pop("task_stack_keys", [])
    if list(stack) != [f"image_{name}"] or list(goals) not in ([], [f"image_{name}"]):
        raise CheckpointError(f"The {what} stacks {stack} and goals {goals}; valid: 'image_{name}' alone.")
    learned = keywords.pop("use_token_learner", False), keywords.pop("num_tokens", 8)
    film = tuple(keywords.pop("task_film_keys", ()))
    stem = keywords.pop("encoder")
    _refuse(keywords, f"the {what}")
    return ImageConfig(
        name=name,
        camera=name,
        size=_image_size(name, config, example),
        stem=_read(stem, STEMS, f"encoder of the {what}", module=stem["name"]),
        goal=bool(goals),
        film_keys=film,
        learned_tokens=learned[1] if learned[0] else 0,
    )


def _image_size(name: str, config: Mapping[str, Any], example: Shapes) -> int:
    shape = example.get(f"observation/image_{name}")
    if shape is not None:
        height, width = shape[2:4]
    else:
        sizes = config["dataset_kwargs"]["frame_transform_kwargs"]["resize_size"]
        height, width = sizes[name]
    if height != width:
        raise CheckpointError(f"The images '{name}' are {width} x {height} pixels; only square ones are supported.")
    return height


def _window(config: Mapping[str, Any], example: Shapes) -> int:
    for mask in ("observation/timestep_pad_mask", "observation/pad_mask"):  # the latter until 2023
        if mask in example:
            return example[mask][1]
    return config["window_size"]


def _language(tokenizers: Mapping[str, Any], processor: Any, shapes: Shapes) -> LanguageConfig | None:
    if not tokenizers:
        return None
    if set(tokenizers) != {"language"} or tokenizers["language"]["name"] != "LanguageTokenizer":
        raise CheckpointError(
            f"The model has the task tokenizers {sorted(tokenizers)}; only a LanguageTokenizer named 'language' is "
            f"supported."
        )
    keywords = dict(tokenizers["language"]["kwargs"])
    encoder = keywords.pop("encoder", None)
    _refuse(keywords, "the task tokenizer 'language'")
    if not isinstance(processor, Mapping) or processor["name"] != "HFTokenizer" or "t5" not in str(encoder):
        name = processor["name"] if isinstance(processor, Mapping) else processor
        raise CheckpointError(
            f"The model reads text by {name} and the encoder {encoder!r}, which is not supported; valid: HFTokenizer "
            f"and a T5."
        )
    text = dict(processor["kwargs"])
    if text.get("encode_with_model"):
        raise CheckpointError("The text processor's option encode_with_model is not supported.")
    t5 = t5_from_shapes(shapes)
    return LanguageConfig(
        encoder=text["tokenizer_name"],
        width=t5.width,
        vocabulary_size=t5.vocabulary_size,
        max_length=text.get("tokenizer_kwargs", {}).get("max_length", 64),
        t5=t5,
    )


def t5_from_shapes(shapes: Shapes) -> T5Config:
    """The sizes of the T5 encoder among weights of these shapes; raises `CheckpointError` if there is none."""
    root = "octo_transformer/task_tokenizers_language/hf_model/"
    block = f"{root}encoder/block/"
    attention, mlp = f"{block}0/layer/0/SelfAttention/", f"{block}0/layer/1/DenseReluDense/"
    gated = f"{mlp}wi_0/kernel" in shapes
    try:
        vocabulary, width = shapes[f"{root}shared/embedding"]
        buckets, heads = shapes[f"{attention}relative_attention_bias/embedding"]
        return T5Config(
            vocabulary_size=vocabulary,
            width=width,
            mlp_dim=shapes[f"{mlp}{'wi_0' if gated else 'wi'}/kernel"][1],
            num_layers=len({path.split("/")[5] for path in shapes if path.startswith(block)}),
            num_attention_heads=heads,
            head_dim=shapes[f"{attention}q/kernel"][1] // heads,
            buckets=buckets,
            gated=gated,
        )
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(f"The weights hold no T5 encoder to read its sizes from: {error}.") from None
