"""The original's `config.json`, read and written."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

import pydantic

from rldg.errors import CheckpointError
from rldg.generalists.openvla.config import DINOV2, PAD, SIGLIP, LlamaSizes, OpenVLAConfig, TowerConfig

MODEL_TYPE, ARCHITECTURE = "openvla", "OpenVLAForActionPrediction"
TRANSFORMERS = "4.40.1"  # the version that the original's code is for

TOWERS = {tower.name: tower for tower in (DINOV2, SIGLIP, replace(SIGLIP, name="vit_so400m_patch14_siglip_384"))}
# timm's argument -> our field, for towers that timm does not know
_ARGUMENTS = {"embed_dim": "width", "depth": "depth", "num_heads": "heads", "patch_size": "patch"}
# Llama's options that this one has in one form only
_FIXED = {
    "attention_bias": False,
    "mlp_bias": False,
    "hidden_act": "silu",
    "rope_scaling": None,
    "tie_word_embeddings": False,
}


def model_from_original(content: Mapping[str, Any]) -> OpenVLAConfig:
    """The architecture that a `config.json` describes; raises `CheckpointError` that says what is unknown to us."""
    architectures = content.get("architectures") or ()
    if content.get("model_type") != MODEL_TYPE and ARCHITECTURE not in architectures:
        kind = content.get("model_type") or ", ".join(map(str, architectures)) or "nothing that it names"
        raise CheckpointError(f"it describes {kind}, not an OpenVLA (model_type '{MODEL_TYPE}').")
    if any(content.get("timm_override_act_layers") or ()):
        raise CheckpointError(f"it changes the towers' activation ({content['timm_override_act_layers']}).")
    try:
        ids, sizes = content["timm_model_ids"], content["image_sizes"]
        if len(set(sizes)) != 1:
            raise CheckpointError(f"its towers see pictures of different sizes ({sizes}).")
        arguments = content.get("timm_model_args", {})
        return OpenVLAConfig(
            towers=tuple(_tower(name, arguments) for name in ids),
            llama=_llama(content["text_config"]),
            image_size=sizes[0],
            resize=content.get("image_resize_strategy", "resize-naive"),
            bins=content.get("n_action_bins", 256),
            reserved=content.get("pad_to_multiple_of", 64),
            prompt="vicuna" if str(content.get("llm_backbone_id", "")).startswith("vicuna") else "openvla",
        )
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise CheckpointError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    except KeyError as error:
        raise CheckpointError(f"it has no entry {error}.") from None
    except (TypeError, AttributeError, ValueError, IndexError) as error:
        raise CheckpointError(f"it is damaged: {error}.") from None


def _tower(name: str, arguments: Mapping[str, Any]) -> TowerConfig:
    if name in TOWERS:
        return TOWERS[name]
    if name not in arguments:
        raise CheckpointError(f"the vision tower '{name}' is unknown; known are {', '.join(TOWERS)}.")
    given = arguments[name]
    if given.get("class_token", True) and not given.get("no_embed_class"):
        raise CheckpointError(f"the class token of the vision tower '{name}' has a position, which is unknown to us.")
    return TowerConfig(
        name,
        **{ours: given[theirs] for theirs, ours in _ARGUMENTS.items()},
        mlp_ratio=given.get("mlp_ratio", 4.0),
        layer_scale="init_values" in given,
        class_token=given.get("class_token", True),
        registers=given.get("reg_tokens", 0),
        attention_pool=given.get("global_pool") == "map",
    )


def _llama(content: Mapping[str, Any]) -> LlamaSizes:
    if content.get("model_type", "llama") != "llama":
        raise CheckpointError(f"its language model is {content['model_type']}; this package has llama.")
    for name, value in _FIXED.items():
        if content.get(name, value) != value:
            raise CheckpointError(f"its Llama has {name} {content[name]}; this package has {value}.")
    found = {field.name: content[field.name] for field in fields(LlamaSizes) if field.name in content}
    rope = content.get("rope_parameters") or {}  # of newer transformers
    if rope.get("rope_type", "default") != "default":
        raise CheckpointError(f"its Llama has rope_type {rope['rope_type']}; this package has default.")
    if "num_attention_heads" in found:
        found.setdefault("num_key_value_heads", found["num_attention_heads"])
    return LlamaSizes(**({"rope_theta": rope["rope_theta"]} if "rope_theta" in rope else {}) | found)


def model_to_original(config: OpenVLAConfig, norm_stats: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """The `config.json` of a model, its weights in `dtype` ("bfloat16"), as the original writes it."""
    vicuna = config.prompt == "vicuna"
    llama = {
        field.name: getattr(config.llama, field.name)
        for field in fields(LlamaSizes)
        if getattr(config.llama, field.name) != field.default
    }
    content: dict[str, Any] = {
        "arch_specifier": f"no-align+{'fused-' if len(config.towers) == 2 else ''}gelu-mlp",
        "architectures": [ARCHITECTURE],
        "auto_map": {
            "AutoConfig": "configuration_prismatic.OpenVLAConfig",
            "AutoModelForVision2Seq": "modeling_prismatic.OpenVLAForActionPrediction",
        },
        "hf_llm_id": "lmsys/vicuna-7b-v1.5" if vicuna else "meta-llama/Llama-2-7b-hf",
        "image_resize_strategy": config.resize,
        "image_sizes": [config.image_size] * len(config.towers),
        "llm_backbone_id": "vicuna-v15-7b" if vicuna else "llama2-7b-pure",
        "llm_max_length": 2048,
        "model_type": MODEL_TYPE,
        "n_action_bins": config.bins,
        "norm_stats": dict(norm_stats),
        "output_projector_states": False,
        "pad_to_multiple_of": config.reserved,
        "pad_token_id": PAD,
        "text_config": llama
        | {
            "model_type": "llama",
            "pad_token_id": PAD,
            "torch_dtype": dtype,
            "vocab_size": config.llama.vocab_size,
        },
        "timm_model_ids": [tower.name for tower in config.towers],
        "timm_override_act_layers": [None] * len(config.towers),
        "torch_dtype": dtype,
        "transformers_version": TRANSFORMERS,
        "use_fused_vision_backbone": len(config.towers) == 2,
        "vision_backbone_id": _backbone(config),
    }
    if own := {tower.name: _arguments(tower) for tower in config.towers if tower.name not in TOWERS}:
        content["timm_model_args"] = own
    return dict(sorted(content.items()))


def _backbone(config: OpenVLAConfig) -> str:
    """The original's name of the towers together."""
    if len(config.towers) == 2:
        return f"dinosiglip-vit-so-{config.image_size}px"
    return {"vit_so400m_patch14_siglip_224": "siglip-vit-so400m"}.get(config.towers[0].name, "siglip-vit-so400m-384px")


def _arguments(tower: TowerConfig) -> dict[str, Any]:
    ours = asdict(tower)
    found: dict[str, Any] = {theirs: ours[name] for theirs, name in _ARGUMENTS.items()}
    if tower.mlp_ratio != 4.0:
        found["mlp_ratio"] = tower.mlp_ratio
    if tower.layer_scale:
        found["init_values"] = 1e-5
    if tower.registers:
        found["reg_tokens"] = tower.registers
    if tower.class_token:
        found["no_embed_class"] = True
    else:
        found["class_token"] = False
    if tower.attention_pool:
        found["global_pool"] = "map"
    return found
