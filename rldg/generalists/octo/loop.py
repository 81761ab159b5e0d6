"""The training loop: batches in, updates, checkpoints and numbers out."""

from pathlib import Path
from typing import Any

import jax

from rldg.generalists.octo.batches import open_loader, tokenised
from rldg.generalists.octo.checkpoint import load_state, save_params, save_state
from rldg.generalists.octo.estimate import expected_memory
from rldg.generalists.octo.freezing import table
from rldg.generalists.octo.learner import Learner, TrainState
from rldg.generalists.octo.partial import load_params
from rldg.generalists.octo.runtime import leads
from rldg.generalists.octo.sharding import state_sharding, to_devices, to_host
from rldg.generalists.octo.tokenizer import TextTokenizer
from rldg.generalists.octo.validation import Validation
from rldg.generalists.progress import OnCheckpoint, Progress, check_loss, say
from rldg.generalists.sinks import OpenSinks
from rldg.generalists.training_data import TrainingData


def train(
    learner: Learner,
    data: TrainingData,
    tokenizer: TextTokenizer | None,
    out: Path,
    given: Any = None,
    open_sinks: OpenSinks = lambda step: (),
    on_checkpoint: OnCheckpoint | None = None,
) -> dict[str, Any]:
    """Trains to the end, from `given` or random weights, or from where an earlier attempt came to.

    Whatever belongs to a checkpoint (weights, numbers, `on_checkpoint`) is done again by the attempt that continues
    from it, so that a kill amid it loses nothing. An interruption (Ctrl-C) leaves the state of the last update.
    """
    config = learner.config

    def place(batch: Any) -> Any:
        return to_devices(learner.mesh, tokenised(batch, tokenizer))

    loader = open_loader(data.training, learner.model, config, learner.seed, augment=True)
    validate = Validation(learner, data.validation, place)
    example = place(loader.batch(0))
    shapes = learner.shapes(example)
    _say(table(shapes.weights, shapes.frozen))
    update = learner.update.lower(shapes, example).compile()
    _say(str(expected_memory(shapes, update)))
    state = _resumed(out, learner, learner.start(_params(learner, example, given)))
    step = int(state.step)
    loader.seek(step)
    progress = Progress(open_sinks(step), step, config.steps, config.batch_size, name="octo", shown=leads())
    batch = place(next(loader))
    try:
        while True:
            kept = step == config.steps or (step > 0 and step % config.checkpoint_every == 0)
            reported = kept or (step > 0 and step % config.log_every == 0)
            extra: dict[str, float] = {}
            if reported:
                check_loss(float(state.metrics["loss"]), step, out)
            if kept:
                _save(out, learner, state)
                extra = validate(state) | (on_checkpoint(step, out) if on_checkpoint and leads() else {})
            if reported:
                progress.report(step, state.metrics | extra)
            if step == config.steps:
                frames, loss = sum(map(len, data.training)), float(state.metrics["loss"])
                return {"updates": step, "frames": frames, "loss": loss} | extra
            state = update(state, batch)
            batch = place(next(loader))  # while the devices compute
            step += 1
            jax.block_until_ready(state.step)
            progress.advance()
    except KeyboardInterrupt:
        if not state.step.is_deleted():  # an update was begun, and has taken the state with it
            _save_state(out, state)
        raise
    finally:
        progress.close()
        loader.close()


def _say(text: str) -> None:
    if leads():
        say(text)


def _save(out: Path, learner: Learner, state: TrainState) -> None:
    """The state first: whatever is missing behind it is made again from it."""
    _save_state(out, state)
    params = to_host(learner.params(state))
    if leads():
        save_params(out, int(state.step), params)


def _save_state(out: Path, state: TrainState) -> None:
    """All but the frozen weights, which an attempt that continues has from where it starts."""
    host = to_host(state.replace(frozen={}))
    if leads():
        save_state(out, host)


def _resumed(out: Path, learner: Learner, fresh: TrainState) -> TrainState:
    saved = load_state(out, fresh.replace(frozen={}))
    return jax.device_put(saved, state_sharding(learner.mesh, saved)).replace(frozen=fresh.frozen)


def _params(learner: Learner, example: Any, given: Any) -> Any:
    fresh = learner.random_params(example)
    if given is None:
        return fresh
    params, report = load_params(fresh, given, anew=learner.config.changes.anew)
    _say(str(report))
    return params
