"""Stage 1 of iRe-VLA with latents that are kept, beside passing every picture through the trunk again at every epoch.

    python -m benchmarks.latents [--model irevla-tiny] [--steps 1024] [--out benchmarks/results/latents.json]

Both are PPO's update of the heads over the same steps, whose trunk is frozen; the second computes the latents of each
minibatch anew. With the latents' own first pass counted, so that both begin with pictures. Means something on an idle
machine only. The aim is 5 times.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from rldg.cli.output import table
from rldg.irevla.config import PPOConfig
from rldg.stage import write_json

AIM = 5.0


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    # Architecture of the generalist; its weights are random.
    model: str = "irevla-tiny"
    # Steps of an iteration.
    steps: int = 1024
    # Passes over them.
    epochs: int = 10
    # Iterations that are timed.
    repeats: int = 3
    out: Path = Path("benchmarks/results/latents.json")


def measure(args: Args) -> dict[str, float]:
    """Seconds per iteration, both ways, and their ratio; medians."""
    import jax
    import numpy as np

    from rldg.generalists.octo.model import OctoModule, example_inputs
    from rldg.generalists.octo.runtime import prepare_jax
    from rldg.generalists.octo.sizes import model_config
    from rldg.irevla import ppo
    from rldg.irevla.networks import LatentNetwork

    prepare_jax()
    model = model_config(args.model)
    module, generator = OctoModule(model), np.random.default_rng(0)
    observation, task, actions, mask = example_inputs(model)
    weights: Any = module.init(jax.random.key(0), observation, task, actions, mask, {}, False, method="loss")["params"]
    seen = {
        name: generator.integers(0, 255, (args.steps, *leaf.shape[1:]), np.uint8) for name, leaf in observation.items()
    }

    @jax.jit
    def latents(pictures: Any) -> Any:
        count = len(next(iter(pictures.values())))
        told = jax.tree.map(lambda leaf: jax.numpy.broadcast_to(leaf, (count, *leaf.shape[1:])), task)
        found: Any = module.apply({"params": weights}, pictures, told, method="readout")
        return found.tokens[:, -1]

    head: Any = model.head
    network = LatentNetwork(head, (True,) * head.action_dim)
    config = PPOConfig(epochs=args.epochs, target_kl=0.0)
    rows = [slice(first, first + config.minibatch) for first in range(0, args.steps, config.minibatch)]

    def pass_all() -> Any:
        return np.concatenate([np.asarray(latents({name: leaf[part] for name, leaf in seen.items()})) for part in rows])

    shape = (args.steps, head.action_dim)
    numbers = generator.normal(size=(3, args.steps)).astype(np.float32)
    action = generator.normal(size=shape).astype(np.float32)
    learned = ppo.start(config, network.init(weights["heads_action"], pass_all()[:1], 0.3, 0))

    def update(tokens: Any, count: int) -> None:
        data = ppo.Samples(tokens, action, *numbers[:1], *numbers[:1], *numbers[1:])
        after, _ = ppo.update(replace(config, epochs=count), network, learned, data, np.random.default_rng(0))
        jax.block_until_ready(after.params)

    def kept() -> None:
        update(pass_all(), args.epochs)

    def anew() -> None:
        for _ in range(args.epochs):
            update(pass_all(), 1)

    kept_seconds, anew_seconds = _seconds(kept, args.repeats), _seconds(anew, args.repeats)
    return {"kept": kept_seconds, "anew": anew_seconds, "speed_up": anew_seconds / kept_seconds}


def _seconds(do: Any, repeats: int) -> float:
    do()  # compiles
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        do()
        taken.append(time.perf_counter() - began)
    return sorted(taken)[repeats // 2]


def main(args: Args) -> None:
    """Measures, prints and writes."""
    found = measure(args)
    write_json(args.out, found | {"model": args.model, "steps": args.steps, "epochs": args.epochs, "aim": AIM})
    rows = [(f"{found['kept']:.2f} s", f"{found['anew']:.2f} s", f"{found['speed_up']:.1f}", AIM)]
    print(table(("latents kept", "computed anew", "times as fast", "aim"), rows))


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
