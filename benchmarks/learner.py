"""Updates per second of the learner, beside a bare jitted step of the same arithmetic: what drawing batches costs.

    python -m benchmarks.learner [--seconds 20] [--out benchmarks/results/learner.json]

The sizes are HIL-SERL's: 256 x 256, 2 critics, batches of 256, 2 critic updates for each of the actor. The bare step
gets the same batches on the device again and again; the learner draws new ones from its replay, staged ahead. Means
something on an idle machine only. The bound is 85 % of the bare step.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from rldg.cli.output import table
from rldg.specialists.config import SpecialistConfig
from rldg.stage import write_json
from rldg.tasks import load_task

BOUND = 0.85
STEPS = 5000  # transitions that the replay holds of each kind
HIL_SERL = SpecialistConfig(hidden=(256, 256), batch_size=256, actor_period=2, learning_rate=3e-4, target_rate=0.005)
CASES = {
    "low-dimensional": HIL_SERL,
    "pixels": replace(HIL_SERL, encoder="small", updates_per_call=2, picture_period=2),
}


@dataclass(frozen=True)
class Args:
    """Arguments of the benchmark."""

    task: str = "usb_a_insertion"
    cases: tuple[str, ...] = tuple(CASES)
    # For each figure.
    seconds: float = 20.0
    out: Path = Path("benchmarks/results/learner.json")


def measure(config: SpecialistConfig, task: str, seconds: float) -> dict[str, float]:
    """Updates per second of the bare step and of the learner."""
    import jax
    import numpy as np

    from rldg.specialists.agent import compiled_update, init_state
    from rldg.specialists.batches import columns, draw
    from rldg.specialists.learner import Learner
    from rldg.specialists.spec import AgentSpec

    spec, generator = AgentSpec.of(config, load_task(task)), np.random.default_rng(0)
    learner = Learner(replace(config, updates_per_step=1), spec, seed=0)
    for prior in (True, False):
        learner.add(_transitions(spec, columns(spec), generator), prior)
    batch = jax.device_put(draw(config, spec, learner.replay, generator))
    update, state, frozen = compiled_update(config, spec), init_state(config, spec, 0), learner._frozen

    def bare() -> int:
        nonlocal state
        state, metrics = update(state, frozen, batch)
        jax.block_until_ready(metrics)
        return config.updates_per_call

    def learned() -> int:
        before = learner.updates
        learner.updates = learner.env_steps - 20 * config.updates_per_call  # so many are due
        learner.learn()
        learner.updates, done = before, 20 * config.updates_per_call
        return done

    return {"bare": _rate(bare, seconds), "learner": _rate(learned, seconds)}


def _transitions(spec: Any, names: tuple[str, ...], generator: Any) -> dict[str, Any]:
    """Random transitions, in episodes of 50 steps."""
    import numpy as np

    kinds = {name: (shape, kind) for name, (shape, kind) in spec.parts().items()}
    kinds |= dict.fromkeys(names, ((), np.float32)) | {"action": ((spec.actions,), np.float32)}
    found = {name: generator.random((STEPS, *shape)).astype(kind) for name, (shape, kind) in kinds.items()}
    last = np.arange(STEPS) % 50 == 49
    return found | {"intervention": np.zeros(STEPS, bool), "last": last}


def _rate(step: Callable[[], int], seconds: float) -> float:
    step()
    began, done = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < seconds:
        done += step()
    return done / elapsed


def main(args: Args) -> None:
    """Prints the table and writes the figures as JSON."""
    from rldg.specialists.train import single_threaded_xla

    single_threaded_xla()
    results = {name: measure(CASES[name], args.task, args.seconds) for name in args.cases}
    rows = [
        (name, f"{r['bare']:.1f}", f"{r['learner']:.1f}", f"{r['learner'] / r['bare']:.0%}", f">= {BOUND:.0%}")
        for name, r in results.items()
    ]
    print(table(("learner", "bare step, updates/s", "learner, updates/s", "share", "bound"), rows))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.out, results)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
