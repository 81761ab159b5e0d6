"""From the parts of an observation to the numbers that an agent's heads take."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from rldg.specialists.arrays import Arrays, Tree
from rldg.specialists.features import PROPRIOCEPTION
from rldg.specialists.networks import forward, gaussian, init_normalised, normalised
from rldg.specialists.spec import FEATURES, IMAGE, PROPRIO, AgentSpec

MAPPED = 16  # pictures that go through a frozen encoder at a time
PROPRIO_WIDTH = 64  # numbers that proprioception becomes beside pictures, as in HIL-SERL


def init_encoder(generator: np.random.Generator, spec: AgentSpec) -> Tree:
    """What is learned between an observation with pictures and the heads."""
    from rldg.specialists.encoders import make_encoder

    encoder = make_encoder(spec.encoder)
    cameras = {name: encoder.init(generator, spec.image_size) for name, _ in spec.cameras}
    return {"cameras": cameras, "proprio": init_normalised(generator, PROPRIOCEPTION, PROPRIO_WIDTH)}


def width(spec: AgentSpec, pictures: bool) -> int:
    """Numbers that heads take which see features, or `pictures`."""
    if not pictures:
        return spec.features_size
    from rldg.specialists.encoders import make_encoder

    return len(spec.cameras) * make_encoder(spec.encoder).width + PROPRIO_WIDTH


def viewed(spec: AgentSpec, frozen: Tree, observation: Mapping[str, Any], shift: Any = None) -> dict[str, Any]:
    """The observation with each picture as its encoder's maps, shifted by `shift` (n, cameras, 2) pixels before."""
    if not spec.cameras:
        return dict(observation)
    import jax.numpy as jnp

    from rldg.specialists.encoders import make_encoder

    encoder, parts = make_encoder(spec.encoder), dict(observation)
    for index, name in enumerate(spec.image_parts):
        if spec.cached:
            parts[name] = parts[name].astype(jnp.float32)
            continue
        pictures = parts[name] if shift is None else shifted(parts[name], shift[:, index])
        parts[name] = encoder.maps(frozen, pictures)
    return parts


def seen_by(spec: AgentSpec, weights: Tree, observation: Mapping[str, Any]) -> Any:
    """Input (n, width) of the heads of `weights`: features, or what their encoder makes of a `viewed` observation."""
    if "encoder" not in weights:
        return observation[FEATURES]
    import jax.numpy as jnp

    from rldg.specialists.encoders import make_encoder

    encoder, learned = make_encoder(spec.encoder), weights["encoder"]
    views = [encoder.encode(learned["cameras"][name], observation[IMAGE + name]) for name, _ in spec.cameras]
    return jnp.concatenate([*views, jnp.tanh(normalised(learned["proprio"], observation[PROPRIO]))], axis=-1)


def shifted(pictures: Any, shift: Any) -> Any:
    """Pictures (n, h, w, c) moved by `shift` (n, 2) pixels, down and right; their edges are repeated (DrQ)."""
    import jax
    import jax.numpy as jnp

    rows, columns = (jnp.arange(side) for side in pictures.shape[1:3])

    def move(picture: Any, by: Any) -> Any:
        picture = picture[(rows - by[0]).clip(0, len(rows) - 1)]
        return picture[:, (columns - by[1]).clip(0, len(columns) - 1)]

    return jax.vmap(move)(pictures, shift)


def decide(spec: AgentSpec, actor: Tree, frozen: Tree, observation: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Mean and logarithmic standard deviation (n, actions) of the arm's action, and the gripper's values or None."""
    x = seen_by(spec, actor, viewed(spec, frozen, observation))
    mean, log_std = gaussian(actor["trunk"], x)
    return mean, log_std, forward(actor["grasp"], x) if "grasp" in actor else None


def stored(spec: AgentSpec, frozen: Tree, parts: Arrays) -> Arrays:
    """The parts (n, ...) as a replay keeps them: with maps float16 for pictures where the agent caches them."""
    if not spec.cached:
        return parts
    import jax

    from rldg.specialists.encoders import make_encoder

    weights, maps = jax.tree.map(jax.numpy.array, frozen), _compiled_maps(make_encoder(spec.encoder).maps)

    def mapped(pictures: np.ndarray) -> np.ndarray:
        count = len(pictures)
        pictures = np.pad(pictures, ((0, -count % MAPPED), (0, 0), (0, 0), (0, 0)))  # one shape, compiled once
        pieces = [np.asarray(maps(weights, piece)) for piece in np.split(pictures, len(pictures) // MAPPED)]
        return np.concatenate(pieces)[:count].astype(np.float16)

    return parts | {name: mapped(parts[name]) for name in spec.image_parts}


def acting(spec: AgentSpec, actor: Tree, frozen: Tree) -> Callable[[Arrays], tuple[np.ndarray, np.ndarray, Any]]:
    """`decide` for one observation at a time: in NumPy, or compiled where there are pictures."""
    if not spec.cameras:
        return lambda parts: decide(spec, actor, frozen, parts)
    import jax

    actor, frozen = jax.tree.map(jax.numpy.array, (actor, frozen))
    compiled = _compiled(spec)

    def act(parts: Arrays) -> tuple[np.ndarray, np.ndarray, Any]:
        decided = compiled(actor, frozen, {name: value[None] for name, value in parts.items()})
        return jax.tree.map(lambda value: np.asarray(value)[0], decided)

    return act


@cache
def _compiled_maps(maps: Callable[..., Any]) -> Callable[..., Any]:
    import jax

    return jax.jit(maps)


@cache
def _compiled(spec: AgentSpec) -> Callable[..., Any]:
    import jax

    return jax.jit(partial(decide, replace(spec, cached=False)))
