"""Speed of the policy server: what clients wait for, beside the policy's own time, all on this machine.

    python -m benchmarks.serving [--out benchmarks/results/serving.json]

octo-tiny with random weights on one XLA thread. Clients are processes of their own: "at once" they ask again as soon as
they have an answer, "10 Hz" they ask as a robot does. Times are from observation to actions in the client. "bare" is
the policy in this process at the same pace: whoever asks ten times a second finds caches cold and cores asleep.
"""

import dataclasses
import multiprocessing
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from rldg.cli.output import table
from rldg.env.types import STATE_PARTS, ActionContract, Observation
from rldg.policies.base import Policy
from rldg.policies.remote import RemotePolicy
from rldg.stage import write_json
from rldg.tasks import load_task

TASK = "usb_a_insertion"
WARM_UP = 20  # answers that are not counted


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    model: str = "octo-tiny"
    clients: int = 4
    # Answers per client.
    answers: int = 1000
    out: Path = Path("benchmarks/results/serving.json")


def random_octo(name: str) -> Policy:
    """An Octo with random weights, as a run would hold it."""
    import jax

    from rldg.data.transform import ImageTransform
    from rldg.generalists.octo.checkpoint import Checkpoint
    from rldg.generalists.octo.heads import loss_draws
    from rldg.generalists.octo.model import OctoModule, example_inputs
    from rldg.generalists.octo.policy import OctoPolicy
    from rldg.generalists.octo.runtime import prepare_jax
    from rldg.generalists.octo.sizes import model_config

    prepare_jax()
    model, task = model_config(name), load_task(TASK)
    draws = loss_draws(model.head, jax.random.key(0), 1, model.window)
    inputs = example_inputs(model)
    params = OctoModule(model).init(jax.random.key(0), *inputs, draws, method="loss")["params"]
    action = {"mean": [0.0] * 7, "std": [0.003] * 6 + [1.0], "mask": [True] * 6 + [False]}
    return OctoPolicy(
        Checkpoint(
            model=model,
            params=params,
            statistics={TASK: {"action": action}},
            step=0,
            weight_hash="",
            action_contract=ActionContract.of(task),
            image_sizes={image.camera: task.cameras[image.camera].resolution for image in model.images},
            images={image.name: ImageTransform(height=image.size, width=image.size) for image in model.images},
            folder=Path(),
            lowdim={},
        )
    )


def observation(sizes: dict[str, int], seed: int = 0) -> Observation:
    """What a camera of noise sees."""
    random = np.random.default_rng(seed)
    images = {camera: random.integers(0, 255, (size, size, 3), dtype=np.uint8) for camera, size in sizes.items()}
    state = {part: np.zeros(size, np.float32) for part, size in STATE_PARTS.items()}
    return {"state": state, "images": images, "privileged": {}}


def seconds(policy: Policy, answers: int, period: float = 0.0, seed: int = 0) -> list[float]:
    """Wall time of each answer, asked for one after the other, or every `period` seconds."""
    seen, times = observation(policy.metadata.image_sizes, seed), []
    policy.reset(load_task(TASK), "insert it", seed)
    begin = time.perf_counter()
    for number in range(WARM_UP + answers):
        time.sleep(max(0.0, begin + number * period - time.perf_counter()) if period else 0.0)
        started = time.perf_counter()
        policy.act(seen)
        times.append(time.perf_counter() - started)
    return times[WARM_UP:]


def asked(url: str, answers: int, period: float, seed: int) -> list[float]:
    """One client."""
    time.sleep(seed * period / 7)  # robots are not in step
    with closing(RemotePolicy(url)) as policy:
        return seconds(policy, answers, period, seed)


def main(args: Args) -> None:
    """Prints the table and writes it as JSON."""
    from rldg.serving.policy_server import PolicyServer

    policy = random_octo(args.model)
    policy.warm_up(args.clients)
    few = min(args.answers, 200)  # at the pace of a robot
    found = {
        "bare, at once": seconds(policy.session(), args.answers),
        "bare, 10 Hz": seconds(policy.session(), few, 0.1),
    }
    with (
        PolicyServer(policy, clients=args.clients) as server,
        ProcessPoolExecutor(args.clients, multiprocessing.get_context("spawn")) as pool,
    ):
        threading.Thread(target=server.serve, daemon=True).start()
        list(pool.map(asked, *zip(*[(server.url, 1, 0.0, seed) for seed in range(args.clients)], strict=True)))
        for name, clients, period in (
            ("at once", 1, 0.0),
            ("at once", args.clients, 0.0),
            ("10 Hz", args.clients, 0.1),
        ):
            jobs = [(server.url, few if period else args.answers, period, seed) for seed in range(clients)]
            times = [taken for client in pool.map(asked, *zip(*jobs, strict=True)) for taken in client]
            found[f"{clients} client{'s' * (clients > 1)}, {name}"] = times
    bare = {name.split(", ")[1]: float(np.median(found[name])) for name in ("bare, at once", "bare, 10 Hz")}
    results = {name: _summary(times, bare[name.split(", ")[1]]) for name, times in found.items()}
    header = ("", "median / ms", "99 % / ms", "99 % over bare median", "answers")
    rows = [(name, *(f"{value:.3g}" for value in result.values())) for name, result in results.items()]
    print(table(header, rows))
    write_json(args.out, {"arguments": dataclasses.asdict(args) | {"out": str(args.out)}, "results": results})


def _summary(times: list[float], bare: float) -> dict[str, Any]:
    median, high = (1000 * float(np.percentile(times, share)) for share in (50, 99))
    return {"median_ms": median, "p99_ms": high, "p99_over_bare": high / 1000 / bare, "answers": len(times)}


if __name__ == "__main__":
    main(tyro.cli(Args))
