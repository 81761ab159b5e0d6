"""New instructions: one text or several to draw from, for all tasks or by task."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from rldg.data.editing.draw import draw
from rldg.data.editing.names import step_column
from rldg.data.editing.source import Place, Source
from rldg.data.example import Columns
from rldg.errors import DatasetError, UsageError
from rldg.tasks import load_task

Texts = str | Sequence[str]
Instructions = Texts | Mapping[str, Texts]  # for every episode, or task -> for its episodes


def instruction_changes(source: Source, instructions: Instructions, seed: int) -> Callable[[Place], Columns]:
    """What is written anew of an episode: its text, drawn if there are several, on every step.

    Raises `DatasetError` if `source` holds no instructions, and `UsageError` for instructions that are none; what is
    returned raises `DatasetError` for a task without a text.
    """
    for texts in instructions.values() if isinstance(instructions, Mapping) else [instructions]:
        if not _are_texts(texts):
            raise UsageError(f"An instruction is a text, or a list of texts to draw from, not {texts!r}.")
    column = step_column(source.dataset, "instruction")
    if not column:
        raise DatasetError(f"{source.folder} holds no instructions, so that there are none to replace.")

    def changes(place: Place) -> Columns:
        texts = _texts_for(place, instructions)
        text = texts[draw(seed, "instruction", place.key) % len(texts)]
        return {f"steps/{column}": [text.encode()] * place.entry.length}

    return changes


def own_instructions(places: Iterable[Place]) -> dict[str, list[str]]:
    """Task -> what its own file calls it: instruction and paraphrases. Raises what `load_task` does."""
    tasks = {_task(place) for place in places}
    return {name: [task.instruction, *task.paraphrases] for name in sorted(tasks) for task in [load_task(name)]}


def read_instructions(file: Path) -> Instructions:
    """Instructions from a YAML: a text, a list of texts, or a mapping from tasks to either."""
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8")) or ""
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{file} is not YAML ({' '.join(str(error).split())}).") from None


def _are_texts(texts: object) -> bool:
    several = list(texts) if isinstance(texts, list | tuple) else [texts]
    return bool(several) and all(isinstance(text, str) and text for text in several)


def _texts_for(place: Place, instructions: Instructions) -> list[str]:
    texts = instructions
    if isinstance(texts, Mapping):
        if (task := _task(place)) not in texts:
            raise DatasetError(
                f"There is no instruction for the task '{task}' of episode {place.episode} of {place.source.folder}; "
                f"there are some for {', '.join(texts)}."
            )
        texts = texts[task]
    return [texts] if isinstance(texts, str) else list(texts)


def _task(place: Place) -> str:
    task = place.entry.metadata.get("task")
    if not isinstance(task, str):
        raise DatasetError(f"The episodes of {place.source.folder} do not say what their task is.")
    return task
