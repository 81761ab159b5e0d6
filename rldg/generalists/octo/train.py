"""`finetune`: trains Octo on RLDS data sets, from random weights or from a checkpoint."""

from pathlib import Path
from typing import Any

from rldg.data.statistics import save_statistics
from rldg.errors import UsageError
from rldg.generalists.octo.batches import open_data
from rldg.generalists.octo.checkpoint import (
    STATE,
    STATISTICS,
    Checkpoint,
    load_checkpoint,
    write_description,
)
from rldg.generalists.octo.config import to_json
from rldg.generalists.octo.images import image_transform
from rldg.generalists.octo.learner import Learner
from rldg.generalists.octo.loop import train
from rldg.generalists.octo.recipes import FinetuneConfig
from rldg.generalists.octo.runtime import agreed, join_hosts, leads, prepare_jax
from rldg.generalists.octo.sharding import check_batch, make_mesh
from rldg.generalists.octo.sizes import model_config
from rldg.generalists.octo.tokenizer import text_tokenizer
from rldg.generalists.progress import OnCheckpoint
from rldg.generalists.run import training_stage
from rldg.generalists.sinks import Sink, open_sinks, require_wandb
from rldg.stage import file_hash

MACHINE = ("fsdp", "cpu_threads", "memory")  # choices that a training may go on without


def finetune(
    config: FinetuneConfig,
    data: list[Path],
    out: Path,
    seed: int,
    *,
    init: str | Path | None = None,
    overwrite: bool = False,
    on_checkpoint: OnCheckpoint | None = None,
    wandb: str = "",
    distributed: bool = False,
    keep_statistics: bool = False,
) -> dict[str, Any]:
    """Trains in the run folder `out`, continues an unfinished training there, or returns a finished one's result.

    `out` then holds a checkpoint (see `checkpoint.py`) every `config.checkpoint_every` updates and at the end,
    `metrics.jsonl`, `tensorboard/` and `stage.json`. A training that was killed continues from its last checkpoint
    and ends with the very weights of an uninterrupted one.

    Args:
        config: model, budget and rates.
        data: folders of data sets; their successful episodes are trained on.
        out: run folder; on several hosts, one that all see.
        seed: of weights, batches, noise and held-out episodes.
        init: checkpoint to start from, a folder or a hub id; its model replaces `config.model`.
        overwrite: whether to replace another run in `out`.
        on_checkpoint: called after each checkpoint, such as to try it in simulation; what it returns is logged.
        wandb: project of Weights & Biases to log to as well.
        distributed: whether this process is one of several that train together; see `join_hosts`.
        keep_statistics: whether to normalise by the statistics of `init` instead of the data's, so that a trained head
            keeps its meaning.

    Raises:
        StageError: `out` holds another configuration or is in use.
        DatasetError: the data cannot be trained on.
        CheckpointError: `init` is broken, or its model is one that cannot be trained here.
        UsageError: the options contradict each other or the devices.
    """
    if wandb:
        require_wandb()
    prepare_jax(config.cpu_threads)
    if distributed:
        join_hosts()
    mesh = make_mesh(config.fsdp)
    check_batch(mesh, config.batch_size, config.accumulate)
    given = load_checkpoint(init) if init else None
    statistics = _only_statistics(given) if keep_statistics else None
    model = config.changes.surgery.apply(given.model if given else model_config(config.model))
    for image in model.images:
        image_transform(image, config)  # to complain of its options before anything is written
    if config.goals and not any(image.goal for image in model.images):
        raise UsageError("goals: none of the model's image slots takes a goal picture.")
    tokenizer = text_tokenizer(model.language, given.folder if given else None) if model.language else None
    inputs = {f"data_{number}": file_hash(folder) for number, folder in enumerate(data)} | (
        {"init": given.weight_hash} if given else {}
    )
    what = {name: value for name, value in to_json(config).items() if name not in MACHINE}
    configuration = {"config": what, "model": to_json(model)} | ({"statistics": statistics} if statistics else {})
    with training_stage("octo", out, configuration, seed, inputs, overwrite=overwrite, leads=leads()) as run:
        if not agreed(run.finished):
            found = open_data(
                data,
                model,
                validation_share=config.validation_share,
                seed=seed,
                statistics=statistics,
                failures=config.failures,
            )
            if leads():
                write_description(
                    out,
                    model,
                    config,
                    found.action_contract,
                    found.image_sizes,
                    lowdim={"proprio": found.training[0].state_dim} if model.lowdim else None,
                    tokenizer=tokenizer,
                )
                save_statistics(out / STATISTICS, found.statistics_key, found.statistics)

            def sinks(step: int) -> list[Sink]:
                return open_sinks(out, step, wandb=wandb, configuration=configuration) if leads() else []

            learner = Learner(model, config, seed, mesh)
            params = given.params if given else None
            run.result = train(learner, found, tokenizer, out, params, sinks, on_checkpoint)
            if leads():
                (out / STATE).unlink()
        return run.result


def _only_statistics(given: Checkpoint | None) -> dict[str, Any]:
    if given is None or len(given.statistics) != 1:
        raise UsageError("keep_statistics needs a checkpoint (init) with the statistics of one data set.")
    return next(iter(given.statistics.values()))
