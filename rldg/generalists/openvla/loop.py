"""The training loop: batches in, updates, checkpoints and numbers out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rldg.data.loader import Loader
from rldg.generalists.openvla.estimate import expected_memory, trained_table
from rldg.generalists.openvla.learner import Batch, Learner
from rldg.generalists.openvla.state import Place, load_state, save_state
from rldg.generalists.openvla.validation import Validation
from rldg.generalists.progress import OnCheckpoint, Progress, check_loss, say
from rldg.generalists.sinks import OpenSinks


def train(
    learner: Learner,
    loader: Loader,
    ready: Callable[[Any], Batch],
    validate: Validation,
    out: Path,
    save: Callable[[int], None],
    open_sinks: OpenSinks,
    on_checkpoint: OnCheckpoint | None = None,
) -> dict[str, Any]:
    """Trains to the end, or from where an earlier attempt came to.

    Whatever belongs to a checkpoint (`save`, numbers, `on_checkpoint`) is done again by the attempt that continues
    from it, so that a kill amid it loses nothing. An interruption (Ctrl-C) leaves the state of the last update.

    Args:
        learner: makes the updates.
        loader: of the batches.
        ready: makes a loader's batch one for the model.
        validate: measures at every checkpoint.
        out: run folder.
        save: writes the checkpoint of a step; all processes call it.
        open_sinks: where numbers go.
        on_checkpoint: called by the leading process after each checkpoint; what it returns is logged.
    """
    config = learner.config
    memory = expected_memory(learner, next(learner.parts(ready(loader.batch(0)))))
    if learner.leads:
        say(trained_table(learner.objective))
        say(str(memory))
    place = load_state(out, learner)
    if place.loader is not None:
        loader.set_state(place.loader)
    step, found = place.step, place.found
    sinks = open_sinks(step) if learner.leads else ()
    progress = Progress(sinks, step, config.steps, config.batch_size, name="openvla", shown=learner.leads)
    try:
        while True:
            kept = step == config.steps or (step > 0 and step % config.checkpoint_every == 0)
            reported = kept or (step > 0 and step % config.log_every == 0)
            extra: dict[str, float] = {}
            if reported:
                check_loss(found["loss"], step, out)
            if kept:
                save_state(out, learner, Place(step, loader.get_state(), found))
                save(step)
                extra = validate() | (on_checkpoint(step, out) if on_checkpoint and learner.leads else {})
            if reported:
                progress.report(step, found | extra)
            if step == config.steps:
                return {"updates": step} | found | extra
            found = learner.update(step, ready(next(loader)))
            step += 1
            learner.settled = True
            progress.advance()
    except KeyboardInterrupt:
        if learner.settled and learner.alone:
            save_state(out, learner, Place(step, loader.get_state() | {"step": step}, found))
        raise
    finally:
        progress.close()
        loader.close()
