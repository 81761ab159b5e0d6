"""Cells that make a data set of another one, data of mixed policies, and generalists on relabelled failures."""

from dataclasses import replace
from typing import Literal

from pipelines.paper.cell import HERE, Cell
from pipelines.paper.plan import Plan
from rldg.cli import collect
from rldg.cli.data import choose, relabel
from rldg.cli.data import filter as keep

EDIT_SECONDS = 6.0  # of an edit of some hundred episodes on one core, start included


def successes(plan: Plan, data: Cell) -> Cell:
    """The successful episodes of a data set."""
    return plan.cell("edit", keep.Args(folder=data.folder, where="success", out=HERE), (data,), EDIT_SECONDS)


def chosen(plan: Plan, data: Cell, by: Literal["fastest", "diverse"], count: int) -> Cell:
    """So many successes of a data set, by a measure of `rldg.data.editing.choose`."""
    args = choose.Args(folder=data.folder, by=by, count=count, out=HERE)
    return plan.cell("edit", args, (data,), EDIT_SECONDS)


def relabelled(plan: Plan, data: Cell, actor: Cell, *, sampled: bool = True) -> Cell:
    """The states of a data set with the actions that `actor` would have taken there: sampled, as in its roll-outs, or
    the most likely ones.
    """
    args = relabel.Args(folder=data.folder, actions=str(actor.folder), stochastic=sampled, out=HERE)
    return plan.cell("edit", args, (data, actor), EDIT_SECONDS)


def mixed_collection(
    plan: Plan, task: str, policy: str, needs: tuple[Cell, ...], episodes: int, seed: int, *, successes: bool = True
) -> Cell:
    """Episodes, or successes, of a policy that `rldg.resolve` puts together from the folders of `needs`."""
    args = collect.Args(
        task,
        policy,
        episodes,
        HERE,
        station=plan.station,
        count_successes=successes,
        stochastic=True,
        seed=seed,
    )
    return plan.cell("collection", args, needs, 3 + 0.5 * episodes)


def trained_on_failures(plan: Plan, generalist: Cell) -> Cell:
    """The same training, but failed episodes count too: their actions were relabelled."""
    args = replace(generalist.args, out=HERE, config=replace(generalist.args.config, failures=True))
    return plan.cell(generalist.kind, args, generalist.needs, generalist.seconds)
