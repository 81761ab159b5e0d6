"""`finetune`: trains Octo on RLDS data sets, from random weights or from a checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from rldg.data.statistics import save_statistics
from rldg.errors import CheckpointError
from rldg.generalists.octo.checkpoint import (
    STATE,
    STATISTICS,
    load_checkpoint,
    load_state,
    save_params,
    save_state,
    write_description,
)
from rldg.generalists.octo.config import ModelConfig, to_json
from rldg.generalists.octo.frames import TrainingData, load_frames
from rldg.generalists.octo.learner import Frames, Learner, TrainState, batch_rows, on_device
from rldg.generalists.octo.progress import Progress
from rldg.generalists.octo.recipes import FinetuneConfig
from rldg.generalists.octo.runtime import prepare_jax
from rldg.generalists.octo.sizes import model_config
from rldg.generalists.octo.tokenizer import text_tokenizer
from rldg.stage import file_hash, stage


def finetune(
    config: FinetuneConfig,
    data: list[Path],
    out: Path,
    seed: int,
    *,
    init: Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Trains in the run folder `out`, continues an unfinished training there, or returns a finished one's result.

    `out` then holds a checkpoint (see `checkpoint.py`) every `config.checkpoint_every` updates and at the end,
    `metrics.jsonl`, `tensorboard/` and `stage.json`. A training that was killed continues from its last checkpoint
    and ends with the very weights of an uninterrupted one.

    Args:
        config: model, budget and rates.
        data: folders of data sets; their successful episodes are trained on.
        out: run folder.
        seed: of weights, batches, noise and held-out episodes.
        init: checkpoint folder to start from; its model configuration replaces `config.model`.
        overwrite: whether to replace another run in `out`.

    Raises:
        StageError: `out` holds another configuration or is in use.
        DatasetError: the data cannot be trained on.
        CheckpointError: `init` is broken, or its model is one that cannot be trained here.
    """
    prepare_jax()
    start = load_checkpoint(init) if init else None
    model = start.model if start else model_config(config.model)
    inputs = {f"data_{number}": file_hash(folder) for number, folder in enumerate(data)} | (
        {"init": start.weight_hash} if start else {}
    )
    configuration = {"config": to_json(config), "model": to_json(model)}
    with stage(out, "finetune octo", configuration, seed=seed, inputs=inputs, overwrite=overwrite) as run:
        if not run.finished:
            found = load_frames(data, model.images, validation_share=config.validation_share, seed=seed)
            write_description(out, model, config, found.action_contract, found.image_sizes)
            save_statistics(out / STATISTICS, found.statistics_key, found.statistics)
            run.result = train_on_frames(model, config, found, out, seed, start.params if start else None)
            (out / STATE).unlink()
        return run.result


def train_on_frames(
    model: ModelConfig, config: FinetuneConfig, data: TrainingData, out: Path, seed: int, params: Any = None
) -> dict[str, Any]:
    """The training itself, on frames in memory; `params` are weights to start from."""
    if model.window != 1 or model.head.action_horizon != 1:
        raise CheckpointError("Only models of window 1 and action horizon 1 can be trained.")
    frames = data.training
    learner = Learner(model, config, text_tokenizer(model.language)(frames.instructions), seed)
    state = load_state(out, learner.init() if params is None else learner.start(merged(learner.init().params, params)))
    step = int(state.step)
    resident, progress = on_device(frames), Progress(out, step, config.steps)
    validate = _validation(learner, data.validation)
    try:
        while step < config.steps:
            state, metrics = learner.update(state, resident, batch_rows(seed, step, config.batch_size, len(frames)))
            step += 1
            progress.advance()
            kept = step % config.checkpoint_every == 0 or step == config.steps
            if step % config.log_every == 0 or kept:
                progress.report(step, dict(metrics) | (validate(state) if kept else {}))
            if kept:
                save_params(out, step, state.average)
                save_state(out, state)
    finally:
        progress.close()
    return {"updates": step, "frames": len(frames), "loss": progress.last["loss"]} | validate(state)


def merged(fresh: Any, given: Any) -> Any:
    """`given` weights where name and shape fit, `fresh` ones elsewhere (a new head, another vocabulary)."""
    new: Any = traverse_util.flatten_dict(fresh)
    old: Any = traverse_util.flatten_dict(given)
    fits = {path: path in old and old[path].shape == value.shape for path, value in new.items()}
    if not any(fits.values()):
        raise CheckpointError("The checkpoint has no weight that fits the model.")
    return traverse_util.unflatten_dict({p: jax.numpy.asarray(old[p]) if fits[p] else v for p, v in new.items()})


def _validation(learner: Learner, frames: Frames | None) -> Callable[[TrainState], dict[str, float]]:
    if frames is None:
        return lambda state: {}
    rows = np.resize(np.arange(len(frames), dtype=np.int32), 256)
    resident = on_device(frames)
    return lambda state: {"validation_loss": float(learner.evaluate(state.average, resident, rows))}
