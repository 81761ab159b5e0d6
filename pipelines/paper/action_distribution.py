"""What actions look like beside the hole, where the right move is known: RL against teleoperated data.

Claim: near the hole, the actions in RL data go farther the right way than those in teleoperated data.

Paper: FMB insertion, transitions within 4 mm (x, y) and 10 mm (z) of a pose from which -x, -y is right. Teleoperated
actions gather at the centre of the square of actions, RL actions in the right corner (Fig. 8; shown, not counted).

Run: python -m pipelines.paper action-distribution

Takes: on two idle cores two minutes, by the sum of the expected seconds of its cells, most of them the specialists',
which other modules share; quick half a minute. A GPU brings nothing.

Verdict: of the mean share of the largest possible right move (1 is straight towards the axis at full speed, 0 is no
move, or one to nowhere), RL minus teleoperated, agrees if the 95 % interval lies above zero, differs if it lies below
+5 points. The interval is a bootstrap over episodes (`rldg.evaluation.grouped`), since the steps of an episode resemble
each other.

The pose lies 5 mm beside the axis on either side and a little over the hole's mouth; other quadrants are mirrored onto
it (`rldg.evaluation.actions`). How far apart the two distributions are is told by the energy distance, with the p-value
of a permutation test that exchanges whole episodes.
"""

from functools import reduce
from operator import add

from pipelines.demo import ARMS
from pipelines.paper.cell import Cell
from pipelines.paper.findings import Claim, Entry, Figure, Findings, Outcome, Quantity, Series, Table
from pipelines.paper.plan import Plan
from pipelines.paper.verdict import Exceeds
from rldg.evaluation.actions import SocketActions, energy_distance, mean_progress, socket_actions
from rldg.evaluation.findings import DATA
from rldg.evaluation.grouped import grouped_difference, same_distribution
from rldg.tasks import load_task

TITLE = "Actions beside the hole (section 4.5, Fig. 8)"
TASK = "fmb_insertion"
OVER = 0.004  # metres over the mouth at which the window's middle lies
CLAIMS = (
    Claim("progress", "Beside the hole, actions in RL data go farther the right way.", "shown, not counted", Exceeds()),
)


def data(plan: Plan, arm: str) -> list[Cell]:
    """The data sets of one kind, a seed each; other modules share them."""
    return [cell for seed in plan.seeds for cell in plan.sets(arm, (TASK,), plan.pick(75, 15), seed)]


def cells(plan: Plan) -> list[Cell]:
    """All cells that are read here."""
    return [cell for arm in ARMS for cell in data(plan, arm)]


def found_actions(plan: Plan, arm: str) -> SocketActions:
    """The actions near the hole in all sets of one kind."""
    sim = load_task(TASK).sim
    assert sim is not None
    height = -(sim.geometry.entry + OVER)
    return reduce(add, (socket_actions(cell.folder, height) for cell in data(plan, arm)))


def findings(plan: Plan) -> Findings:
    """The claim, both distributions, and how far apart they are."""
    found = {arm: found_actions(plan, arm) for arm in ARMS}
    a, b = (found[arm] for arm in ARMS)
    middle, low, high = grouped_difference(a.moves, b.moves, mean_progress)
    here = Quantity(middle, low, high, "points", len(a.xy) + len(b.xy), "actions", len(plan.seeds))
    rows: list[tuple[Entry, ...]] = [
        (DATA[arm], one.episodes, len(one.xy), f"{one.progress:+.0%}", f"{one.correct:.0%}")
        for arm, one in found.items()
    ]
    columns = ("data", "episodes", "actions in the window", "share of the largest right move", "right in x and y")
    clouds = [Series(DATA[arm], one.xy[:, 0].tolist(), one.xy[:, 1].tolist(), arm=arm) for arm, one in found.items()]
    square = Figure("square", "Actions beside the hole; right is the lower left", "x", "y", clouds, "square")
    notes = ["Of one kind no action was recorded in the window, so nothing can be said."]
    if len(a.xy) and len(b.xy):
        apart, chance = energy_distance(a.xy, b.xy), same_distribution(a.moves, b.moves)
        notes = [f"Energy distance {apart:.2f} of the largest step; permutation test over episodes: p = {chance:.3f}."]
    return Findings([Outcome(CLAIMS[0], here)], [Table("Actions beside the hole", columns, rows)], [square], notes)
