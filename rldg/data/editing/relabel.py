"""`relabel`: other instructions, another verdict, the actions of another policy.

Pictures and all other columns stay as they are, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rldg.data.editing.actions import action_changes
from rldg.data.editing.drop import numbered
from rldg.data.editing.instructions import Instructions, instruction_changes, own_instructions
from rldg.data.editing.names import select
from rldg.data.editing.outcome import Outcome, outcome_changes
from rldg.data.editing.source import Place, open_source
from rldg.data.editing.write import write_edit
from rldg.data.example import Columns
from rldg.errors import DatasetError, UsageError


def relabel_dataset(
    folder: Path,
    out: Path,
    *,
    instructions: Instructions | None = None,
    paraphrases: bool = False,
    outcome: Outcome | None = None,
    actions: str = "",
    stochastic: bool = False,
    where: str = "",
    episodes: Sequence[str] = (),
    split: str = "",
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Writes `folder` to `out`, with other labels on the episodes that `where` and `episodes` select together.

    Args:
        folder: the data set to relabel.
        out: the new data set; it holds all episodes of the old one.
        instructions: a text or several, for all tasks or by task; of several, each episode draws one.
        paraphrases: draw from what each task's own file says: its instruction and its paraphrases.
        outcome: what an operator judged.
        actions: policy (`rldg.resolve.load_policy`) whose actions take the place of the recorded ones, see
            `rldg.data.editing.actions`; outcomes stay those of the actions that were carried out.
        stochastic: whether a specialist samples them instead of giving the most likely ones.
        where: a condition (`rldg.data.editing.expression`); by default every episode satisfies it.
        episodes: numbers and ranges such as "10-20"; by default all.
        split: where the numbers count; by default "train", or the only split.
        seed: of the draw.
        overwrite: empties `out` first.

    Returns:
        What `rldg.data.editing.write.write_edit` returns; it also says what else is raised.

    Raises:
        UsageError: nothing is to be changed, or the episodes are not selected in a valid way.
        DatasetError: the data set has no such columns, there is no instruction for a task, or the policy does not fit.
    """
    if instructions is not None and paraphrases:
        raise UsageError("Instructions are given, or are the task's own paraphrases, not both.")
    if instructions is None and not paraphrases and outcome is None and not actions:
        raise UsageError("Relabelling takes instructions, paraphrases, an outcome or a policy's actions.")
    source = open_source(folder)
    selected = set(select(source, where) if where else source)
    if episodes:
        selected &= set(numbered(source, episodes, split))
        if not selected:
            raise DatasetError(f"None of the episodes {' '.join(episodes)} of {folder} satisfies {where!r}.")
    if paraphrases:
        instructions = own_instructions(selected)
    changes = [instruction_changes(source, instructions, seed)] if instructions is not None else []
    changes += [outcome_changes(source, outcome)] if outcome else []
    acting: dict[str, Any] | None = None
    if actions:
        change_actions, acting = action_changes(actions, stochastic)
        changes.append(change_actions)

    def change(place: Place) -> Columns:
        return {n: c for columns in changes for n, c in columns(place).items()} if place in selected else {}

    plan = {name: source.places(name) for name in source.splits}
    parameters = {
        "instructions": instructions, "outcome": outcome and asdict(outcome), "where": where,
        "episodes": list(episodes), "split": source.split(split) if episodes else "", "seed": seed,
        **({"actions": acting} if acting else {}),
    }  # fmt: skip
    return write_edit(out, "relabel", parameters, [source], plan, change=change, overwrite=overwrite)
