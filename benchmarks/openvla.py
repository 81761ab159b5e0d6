"""Speed of OpenVLA: actions as a policy gives them, and LoRA training steps.

    python -m benchmarks.openvla [--out benchmarks/results/openvla.json]

On a GPU, the 7B:

    python -m benchmarks.openvla --act openvla-7b --train openvla-7b 8 --device cuda --dtype bfloat16 --compiled

"golden" is the small model of the original's own measurements: two towers of width 48 and 40 on 224 px, a Llama of two
layers of width 64. Weights are random. An action is timed from the picture on the host to the numbers on the host. A
training step is the forward and backward pass and AdamW's update of rank-32 adapters on all linear layers; its batch
lies on the device. Every measurement is a process of its own.
"""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from rldg.cli.output import table
from rldg.stage import write_json

GOLDEN = "golden"
INSTRUCTION = "pick up the red cup"


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    # Models that act.
    act: tuple[str, ...] = (GOLDEN, "openvla-tiny")
    # Models and batch sizes to train.
    train: tuple[tuple[str, int], ...] = ((GOLDEN, 3), ("openvla-tiny", 32))
    device: str = "cpu"
    dtype: str = "float32"
    # Act with compiled towers and decoding steps (CUDA graphs on a GPU).
    compiled: bool = False
    # Recompute activations in the backward pass.
    checkpoint_blocks: bool = False
    # Peak of the device in that precision, to give the share of it that is used; 0: unknown.
    peak_tflops: float = 0.0
    # Observations that are answered together.
    environments: int = 1
    steps: int = 20
    out: Path = Path("benchmarks/results/openvla.json")
    # One measurement, as this benchmark starts it itself.
    only: str = field(default="", metadata={"help": "internal"})


def config(name: str) -> Any:
    """The architecture to measure."""
    from rldg.generalists.openvla.config import LlamaSizes, OpenVLAConfig, TowerConfig, model_config

    if name != GOLDEN:
        return model_config(name)
    first = TowerConfig("golden_dinov2", 48, 4, 3, layer_scale=True, class_token=True, registers=4)
    second = TowerConfig("golden_siglip", 40, 3, 4, mlp_ratio=3.7362, attention_pool=True)
    return OpenVLAConfig(towers=(first, second), llama=LlamaSizes(64, 172, 2, 4, 4))


def random_model(name: str, args: Args) -> Any:
    """A model with random weights, made where it is to be."""
    import torch

    from rldg.generalists.openvla.model import OpenVLA

    torch.manual_seed(0)
    torch.set_default_dtype(getattr(torch, args.dtype))
    with torch.device(args.device):
        model = OpenVLA(config(name))
    torch.set_default_dtype(torch.float32)
    return model


def seconds(work: Callable[[], object], count: int, device: str) -> list[float]:
    """Wall time of each of `count` calls."""
    import torch

    times = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return times


def memory(device: str) -> dict[str, float]:
    """Peak memory of the device, where it counts it."""
    import torch

    return {"peak memory / GiB": torch.cuda.max_memory_allocated() / 2**30} if device == "cuda" else {}


def acting(name: str, args: Args) -> dict[str, float]:
    """First answer and later ones."""
    from rldg.generalists.openvla.checkpoint import Checkpoint
    from rldg.generalists.openvla.policy import OpenVLAPolicy
    from rldg.generalists.openvla.processor import Processor

    model = random_model(name, args).eval()
    if args.compiled:
        model.compile_for_acting()
    statistics = {"random": {"action": {"q01": [-1.0] * 7, "q99": [1.0] * 7}}}
    found = Checkpoint(model.config, model, Processor(model.config), statistics, "", Path())
    policy = OpenVLAPolicy(found)
    size = (args.environments, 224, 224, 3)
    pictures = list(np.random.default_rng(0).integers(0, 255, size, dtype=np.uint8))
    texts = [INSTRUCTION] * args.environments

    def answer() -> None:
        policy.predict_batch(pictures, texts)

    (first,) = seconds(answer, 1, args.device)
    seconds(answer, 3, args.device)
    cpu = time.process_time()
    times = seconds(answer, args.steps, args.device)
    cpu = (time.process_time() - cpu) / args.steps
    middle = float(np.median(times))
    return {
        "first answer / s": first,
        "answer / s": middle,
        "slowest answer / s": max(times),
        "CPU s per answer": cpu,
        "actions per s": args.environments / middle,
    } | memory(args.device)


def training(name: str, batch_size: int, args: Args) -> dict[str, float]:
    """LoRA steps."""
    import torch
    from peft import LoraConfig, inject_adapter_in_model
    from torch.utils.flop_counter import FlopCounterMode

    from rldg.generalists.openvla.processor import Processor

    model = random_model(name, args)
    linear = {name.split(".")[-1] for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    inject_adapter_in_model(LoraConfig(r=32, lora_alpha=16, target_modules=sorted(linear)), model)
    trained = [value for name, value in model.named_parameters() if "lora_" in name]
    for value in model.parameters():
        value.requires_grad_(any(value is other for other in trained))
    if args.checkpoint_blocks:
        model.checkpoint_activations()
    model.train()
    rng = np.random.default_rng(0)
    processor = Processor(model.config)
    batch = processor.training_batch([INSTRUCTION] * batch_size, rng.uniform(-1, 1, (batch_size, 7)))
    pictures = rng.integers(0, 255, (batch_size, 224, 224, 3), dtype=np.uint8)
    pixels = processor.images(pictures).to(args.device, getattr(torch, args.dtype))
    batch = {name: value.to(args.device) for name, value in batch.items()} | {"pixel_values": pixels}
    optimizer = torch.optim.AdamW(trained, lr=5e-4)

    def step() -> None:
        model(**batch, labelled_only=True).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    with FlopCounterMode(display=False) as counter:
        (first,) = seconds(step, 1, args.device)
    seconds(step, 2, args.device)
    cpu = time.process_time()
    middle = float(np.median(seconds(step, args.steps, args.device)))
    cpu = (time.process_time() - cpu) / args.steps
    teraflops = counter.get_total_flops() / 1e12 / middle
    found = {"first step / s": first, "step / s": middle, "CPU s per step": cpu, "samples per s": batch_size / middle}
    found |= {"TFLOP/s": teraflops} | memory(args.device)
    return found | ({"share of peak": teraflops / args.peak_tflops} if args.peak_tflops else {})


def measured(kind: str, name: str, size: int, args: Args) -> dict[str, float]:
    """One measurement, in a process of its own."""
    given = [text for key, value in dataclasses.asdict(args).items() for text in _option(key, value)]
    command = [sys.executable, "-m", "benchmarks.openvla", "--only", json.dumps([kind, name, size]), *given]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _option(key: str, value: Any) -> list[str]:
    if key in ("act", "train", "out", "only"):
        return []
    name = key.replace("_", "-")
    return [f"--{name}" if value else f"--no-{name}"] if isinstance(value, bool) else [f"--{name}", str(value)]


def main(args: Args) -> None:
    """Prints the table and writes it as JSON."""
    if args.only:
        kind, name, size = json.loads(args.only)
        print(json.dumps(training(name, size, args) if kind == "train" else acting(name, args)))
        return
    results: dict[str, Any] = {}
    jobs = [("act", name, args.environments) for name in args.act] + [("train", *each) for each in args.train]
    for kind, name, size in jobs:
        found = measured(kind, name, size, args)
        label = f"{name}, {'LoRA step, batch' if kind == 'train' else 'acting, environments'} {size}"
        results[label] = found
        print(table((label, "value"), [(what, f"{value:,.4f}") for what, value in found.items()]), flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.out, results)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
