"""Speed of Octo: training steps, and actions as a policy needs them, on whatever device JAX finds.

    python -m benchmarks.octo [--out benchmarks/results/octo.json]
    python -m benchmarks.octo --train octo-base-1.5 64 --pixels 224 --compute bfloat16 --peak-tflops 989   # on a GPU

Random weights and pictures; batches lie on the device, so that reading (`benchmarks.data_reading`) does not count.
"tiny" is the small model of the original's own measurements: two images of 64 and 48 px, window 2, chunk 4, width 64.
The instruction of a training step is encoded by T5 in every step, as in the original; that of a policy once per
episode. First calls include compilation, which no cache shortens here. Every measurement is a process of its own.
"""

import dataclasses
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from rldg.cli.output import table
from rldg.stage import write_json

TINY = "tiny"


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    # Models and batch sizes to train.
    train: tuple[tuple[str, int], ...] = ((TINY, 16), (TINY, 64), ("octo-small-1.5", 8))
    # Models that act.
    act: tuple[str, ...] = ("octo-small-1.5",)
    # Window of training and acting; "tiny" has 2 in any case.
    window: int = 1
    # Size of the primary image; 0: the model's own.
    pixels: int = 0
    # Precision of the transformer's activations in training.
    compute: str = "float32"
    # Peak of the device in that precision, to give the share of it that is used; 0: unknown.
    peak_tflops: float = 0.0
    steps: int = 20
    out: Path = Path("benchmarks/results/octo.json")
    # One measurement, as this benchmark starts it itself.
    only: str = field(default="", metadata={"help": "internal"})


def model(name: str, args: Args) -> Any:
    """The configuration to measure."""
    from rldg.generalists.octo.config import (
        DiffusionConfig,
        ImageConfig,
        LanguageConfig,
        ModelConfig,
        StemConfig,
        T5Config,
        TransformerConfig,
    )
    from rldg.generalists.octo.sizes import model_config

    if name == TINY:
        wrist = StemConfig(features=(32, 64, 96, 128), num_features=64)
        t5 = T5Config(vocabulary_size=132, width=32, mlp_dim=64, num_layers=2, num_attention_heads=4, head_dim=8)
        return ModelConfig(
            images=(
                ImageConfig("primary", "primary", 64, StemConfig(num_features=128)),
                ImageConfig("wrist", "wrist", 48, wrist),
            ),
            language=LanguageConfig("t5-tiny", width=32, vocabulary_size=132, t5=t5),
            transformer=TransformerConfig(num_layers=2, mlp_dim=128, num_attention_heads=4),
            head=DiffusionConfig(hidden_dim=128),
            width=64,
        )
    found = dataclasses.replace(model_config(name), window=args.window)
    if args.pixels:
        first = dataclasses.replace(found.images[0], size=args.pixels)
        found = dataclasses.replace(found, images=(first, *found.images[1:]))
    return found


def seconds(work: Any, count: int) -> list[float]:
    """Wall time of each of `count` calls."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return times


def training(name: str, batch_size: int, args: Args) -> dict[str, float]:
    """First step and later ones."""
    import jax

    from rldg.generalists.octo.learner import Learner
    from rldg.generalists.octo.model import example_inputs
    from rldg.generalists.octo.recipes import recipe

    config = dataclasses.replace(recipe("rldg").config, batch_size=batch_size, compute=args.compute)
    learner = Learner(model(name, args), config, seed=0)
    observation, task, action, mask = example_inputs(learner.model, batch_size)
    rng = np.random.default_rng(0)
    pictures = {key: rng.integers(0, 255, value.shape).astype(np.uint8) for key, value in observation.items()}
    observation = pictures | {"timestep_pad_mask": np.ones(action.shape[:2], bool)}
    batch = jax.device_put({"observation": observation, "task": task, "action": action, "action_pad_mask": mask})
    state = learner.start(learner.random_params(batch))
    started = time.perf_counter()
    update = learner.update.lower(state, batch).compile()
    state = jax.block_until_ready(update(state, batch))
    first = time.perf_counter() - started

    def step() -> None:
        nonlocal state
        state = jax.block_until_ready(update(state, batch))

    step()
    cpu = time.process_time()
    middle = float(np.median(seconds(step, args.steps)))
    cpu = (time.process_time() - cpu) / args.steps
    costs: Any = update.cost_analysis() or {}
    teraflops = costs.get("flops", 0.0) / 1e12 / middle
    found = {"first step / s": first, "step / s": middle, "steps per s": 1 / middle, "CPU s per step": cpu}
    found |= {"samples per s": batch_size / middle, "TFLOP/s by XLA's count": teraflops}
    memory = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in memory:
        found["peak memory / GiB"] = memory["peak_bytes_in_use"] / 2**30
    return found | ({"share of peak": teraflops / args.peak_tflops} if args.peak_tflops else {})


def acting(name: str, args: Args) -> dict[str, float]:
    """First answer and later ones, from arrays on the host to the action on the host."""
    import jax

    from rldg.generalists.octo.heads import loss_draws, sample_draws
    from rldg.generalists.octo.model import OctoModule, example_inputs

    config = model(name, args)
    module, inputs = OctoModule(config), example_inputs(config)
    text = np.zeros((1, config.language.max_length, config.language.width), np.float32)
    observation = jax.tree.map(np.asarray, inputs[0])
    draws = loss_draws(config.head, jax.random.key(0), 1, config.window)
    task = {"language_instruction": text}
    shapes = jax.eval_shape(
        lambda key: module.init(key, inputs[0], task, *inputs[2:], draws, method="loss"), jax.random.key(0)
    )
    rng = np.random.default_rng(0)
    variables = jax.device_put(jax.tree.map(lambda s: rng.normal(0, 0.02, s.shape).astype(np.float32), shapes))
    sample = jax.jit(lambda *given: module.apply(*given, method="sample"))
    noise = sample_draws(config.head, (1, 1), rng)

    def answer() -> None:
        np.asarray(sample(variables, observation, task, noise))

    (first,) = seconds(answer, 1)
    times = seconds(answer, args.steps)
    return {"first action / s": first, "action / s": float(np.median(times)), "slowest action / s": max(times)}


def measured(kind: str, name: str, size: int, args: Args) -> dict[str, float]:
    """One measurement, in a process of its own."""
    given = ["--only", json.dumps([kind, name, size]), "--window", str(args.window), "--pixels", str(args.pixels)]
    given += ["--compute", args.compute, "--peak-tflops", str(args.peak_tflops), "--steps", str(args.steps)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.octo", *given], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main(args: Args) -> None:
    """Prints the table and writes it as JSON."""
    if args.only:
        kind, name, size = json.loads(args.only)
        print(json.dumps(training(name, size, args) if kind == "train" else acting(name, args)))
        return
    results: dict[str, Any] = {}
    for kind, name, size in [("train", *each) for each in args.train] + [("act", name, 1) for name in args.act]:
        found = measured(kind, name, size, args)
        label = f"{name}, training, batch {size}" if kind == "train" else f"{name}, acting, window {args.window}"
        results[label] = found
        print(table((label, "value"), [(what, f"{value:,.3f}") for what, value in found.items()]), flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.out, results)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
