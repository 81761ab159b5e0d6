"""`finetune`: trains OpenVLA on RLDS data sets, from random weights or from a checkpoint."""

import shutil
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, InitProcessGroupKwargs

from rldg.data.steps import StepSource
from rldg.errors import UsageError
from rldg.generalists.hub import hub_id, is_hub_id
from rldg.generalists.openvla.batches import SLOT, collated, image_transform, open_loader
from rldg.generalists.openvla.checkpoint import OWN, Checkpoint, Extension, load_checkpoint, save_checkpoint
from rldg.generalists.openvla.config import model_config
from rldg.generalists.openvla.fresh import begin_from_scratch
from rldg.generalists.openvla.learner import Learner, error_scale
from rldg.generalists.openvla.loop import train
from rldg.generalists.openvla.lora import add_adapters, save_adapters
from rldg.generalists.openvla.model import OpenVLA
from rldg.generalists.openvla.original_config import model_to_original
from rldg.generalists.openvla.parallel import ActionHead
from rldg.generalists.openvla.processor import Processor
from rldg.generalists.openvla.recipes import FinetuneConfig
from rldg.generalists.openvla.source import ADAPTER, CONFIG, STATISTICS
from rldg.generalists.openvla.state import FILE as STATE
from rldg.generalists.openvla.state import weights_of
from rldg.generalists.openvla.validation import Validation
from rldg.generalists.progress import OnCheckpoint
from rldg.generalists.run import training_stage
from rldg.generalists.sinks import open_sinks, require_wandb
from rldg.generalists.training_data import TrainingData, open_data
from rldg.stage import file_hash, write_json

MERGED = "merged"  # the folder of the whole model in a run folder
PATIENCE = timedelta(hours=1)  # of processes for the one that tries a checkpoint in simulation
MACHINE = ("cpu_threads", "memory")  # choices that a training may go on without


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
    merge: bool = False,
) -> dict[str, Any]:
    """Trains in the run folder `out`, continues an unfinished training there, or returns a finished one's result.

    `out` then holds a checkpoint in a folder of its own every `config.checkpoint_every` updates and at the end: the
    whole model as the original writes it, or adapters in peft's format; besides `metrics.jsonl`, `tensorboard/` and
    `stage.json`. A training that was killed continues from its last checkpoint and ends with the very weights of an
    uninterrupted one. Started by `accelerate launch` or `torchrun`, processes train together.

    Args:
        config: model, budget and rates.
        data: folders of data sets; their successful episodes are trained on.
        out: run folder; on several hosts, one that all see.
        seed: of weights, batches, dropout and held-out episodes.
        init: checkpoint to start from, a folder or a hub id; its model replaces `config.model`.
        overwrite: whether to replace another run in `out`.
        on_checkpoint: called after each checkpoint, such as to try it in simulation; what it returns is logged.
        wandb: project of Weights & Biases to log to as well.
        merge: whether to write the last checkpoint with its adapters added in to `out/merged`, too.

    Raises:
        StageError: `out` holds another configuration or is in use.
        DatasetError: the data cannot be trained on.
        CheckpointError: `init` is broken.
        UsageError: the options contradict each other, or ask for a package that is not installed.
    """
    if wandb:
        require_wandb()
    if merge and config.mode == "full":
        raise UsageError("--merge adds adapters in; with --mode full every checkpoint is whole already.")
    if config.mode != "full" and init is None:
        raise UsageError(f"--mode {config.mode} trains adapters on a trained model: give one with --init.")
    if config.cpu_threads:
        torch.set_num_threads(config.cpu_threads)
    accelerator = Accelerator(kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)])
    if config.batch_size % (config.accumulate * accelerator.num_processes):
        raise UsageError(
            f"A batch of {config.batch_size} cannot be cut into {config.accumulate} parts on "
            f"{accelerator.num_processes} processes."
        )
    start = _start(config, init, seed, str(accelerator.device))
    inputs = {f"data_{number}": file_hash(folder) for number, folder in enumerate(data)} | start.inputs
    what = {name: value for name, value in asdict(config).items() if name not in MACHINE}
    configuration = {"config": what, "model": asdict(start.processor.config)}
    leads = accelerator.is_main_process
    with training_stage("openvla", out, configuration, seed, inputs, overwrite=overwrite, leads=leads) as run:
        if not _agreed(accelerator, run.finished):
            found = open_data(
                data,
                {SLOT: config.camera},
                validation_share=config.validation_share,
                seed=seed,
                normalisation="bounds_q99",
                failures=config.failures,
            )
            learner = Learner(start.model, config, seed, error_scale(found.statistics), accelerator)
            run.result = _trained(
                learner,
                found,
                start,
                out,
                partial(open_sinks, out, wandb=wandb, configuration=configuration),
                on_checkpoint,
            )
            if leads:
                (out / STATE).unlink()
        if merge and leads and not (out / MERGED).exists():
            merge_adapters(out, out / MERGED)
        return run.result


def merge_adapters(source: str | Path, folder: Path) -> None:
    """Writes the whole model of adapters with these added in, as the original's fine-tuning does.

    Raises `CheckpointError` if `source` (a run or a folder of adapters) or what it belongs to is broken.
    """
    found = load_checkpoint(source)
    save_checkpoint(folder, found.model.state_dict(), found.processor, found.norm_stats, extension=found.extension)


@dataclass(frozen=True)
class Start:
    """What a training begins with."""

    model: OpenVLA
    processor: Processor
    inputs: dict[str, str]  # hash of the checkpoint
    base: str  # where the checkpoint is, as `adapter_config.json` names it
    adapters: dict[str, Any] | None  # content of that file


def _start(config: FinetuneConfig, init: str | Path | None, seed: int, device: str) -> Start:
    if init is None:
        torch.manual_seed(seed)
        processor = Processor(replace(model_config(config.model), decoding=config.decoding or "tokens"))
        model = OpenVLA(processor.config)
        begin_from_scratch(model)
        return Start(model, processor, {}, "", None)
    half = config.mode != "full" and config.compute == "bfloat16"
    bits = 4 if config.mode == "qlora" else None
    given = load_checkpoint(init, dtype=torch.bfloat16 if half else torch.float32, device=device, bits=bits)
    if config.mode != "full" and (given.folder / ADAPTER).is_file():
        raise UsageError(f"{init} is adapters itself: merge them (--merge), and train new ones on the whole model.")
    model = given.model
    torch.manual_seed(seed)
    if config.decoding not in (None, given.config.decoding):
        model.config = given.processor.config = replace(given.config, decoding=config.decoding)
        if config.decoding == "parallel":
            model.action_head = ActionHead(given.config.llama.hidden_size).to(device)
        else:
            del model.action_head
    adapters = None if config.mode == "full" else add_adapters(model, config)
    return Start(model, given.processor, {"init": given.weight_hash}, _base(init, given), adapters)


def _base(init: str | Path, given: Checkpoint) -> str:
    if not is_hub_id(init):
        return str(given.folder.absolute())
    repository, revision = hub_id(init)
    return str(init) if revision else repository


def _trained(
    learner: Learner, data: TrainingData, start: Start, out: Path, sinks: Any, on_checkpoint: OnCheckpoint | None
) -> dict[str, Any]:
    config, processor = learner.config, start.processor
    transform = image_transform(processor.config, config)
    processes = learner.accelerator.num_processes

    def loader(sources: tuple[StepSource, ...], augment: bool) -> Any:
        index = learner.accelerator.process_index
        return open_loader(sources, transform, config, learner.seed, augment=augment, shard=index, shards=processes)

    def save(step: int) -> None:
        extension = Extension(
            step=step,
            action_contract=data.action_contract,
            image_sizes={camera: size or transform.height for camera, size in data.image_sizes.items()},
            images={config.camera: transform},
            finetune=asdict(config),
        )
        weights = weights_of(learner, frozen=start.adapters is None)
        norm_stats = {data.statistics_key: data.statistics}
        if learner.leads and start.adapters is None:
            dtype = torch.bfloat16 if config.compute == "bfloat16" else None
            save_checkpoint(out / str(step), weights, processor, norm_stats, extension=extension, dtype=dtype)
        elif learner.leads:
            _save_adapted(out / str(step), weights | learner.idle_adapters, start, norm_stats, extension)

    ready = partial(collated, processor=processor)
    held = loader(data.validation, augment=False) if data.validation else None
    validate = Validation(learner, held, sum(map(len, data.validation)), ready)
    result = train(learner, loader(data.training, augment=True), ready, validate, out, save, sinks, on_checkpoint)
    return {"updates": result.pop("updates"), "frames": sum(map(len, data.training))} | result


def _save_adapted(
    folder: Path, weights: dict[str, torch.Tensor], start: Start, norm_stats: dict[str, Any], extension: Extension
) -> None:
    """Adapters, and what acting must know besides; all or nothing."""
    temporary = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    save_adapters(temporary, weights, start.adapters or {}, start.base)
    config = model_to_original(start.processor.config, norm_stats, "bfloat16")
    write_json(temporary / CONFIG, config | {OWN: extension.model_dump(mode="json")})
    write_json(temporary / STATISTICS, norm_stats)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def _agreed(accelerator: Accelerator, value: bool) -> bool:
    """The leading process's `value`, on every process; the others' is False."""
    found: Any = accelerator.reduce(torch.tensor(float(value), device=accelerator.device), "sum")
    return bool(found > 0)
