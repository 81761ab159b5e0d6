"""Beyond the paper: is there better data than plain roll-outs of the specialists, at the same number of episodes?

Claim: each of these does better than plain roll-outs: the same with the most likely actions in place of the sampled
ones; the fastest half of twice as many; the half of twice as many whose paths differ most; a third of episodes in which
the specialist was pushed off its way, failures included, with its own actions as labels; a third of the generalist's
own episodes, failures included, with the specialist's actions as labels (one round of DAgger).

Paper: plain roll-outs only.

Run: python -m pipelines.paper beyond

Takes: on two idle cores two and a half hours for both generalists and three seeds, by the sum of the expected seconds
of its cells; quick four minutes. Not tried on a GPU, which would help the trainings, two fifths of it.

Verdict: for each kind of data and each generalist, on unseen and seen connectors together, kind minus plain: agrees if
the 95 % interval of the paired difference lies above zero, differs if it lies below +5 points; inconclusive also where
an arm still rose at the end of its training. There are five questions per generalist: one in eight sets of them will
show an "agrees" by chance alone.

All sets hold as many episodes of each connector, and all trainings have as many updates. DAgger's first generalist,
which is trained on the other two thirds, is not counted.
"""

from collections.abc import Sequence

from pipelines.generalists import Generalist
from pipelines.paper.cell import Cell
from pipelines.paper.contest import Contest
from pipelines.paper.edits import chosen, mixed_collection, relabelled, successes, trained_on_failures
from pipelines.paper.findings import Claim, Findings
from pipelines.paper.plan import Plan
from pipelines.paper.verdict import Exceeds
from rldg.evaluation.findings import GENERALISTS

TITLE = "Beyond the paper: which roll-outs to learn from"
LABELS = {
    "rl": "plain roll-outs",
    "likeliest": "roll-outs with the most likely actions",
    "fastest": "the fastest half of twice as many",
    "diverse": "the most diverse half of twice as many",
    "recoveries": "roll-outs and recoveries from pushes",
    "dagger": "roll-outs and its own states, relabelled",
}
PUSHES = 0.7  # per second
ELSEWHERE = 10_000  # added to the seed where episodes are to begin in other scenes than the plain ones
CORRECTED = ("recoveries", "dagger")  # arms with failed episodes whose actions are right
CLAIMS = tuple(
    Claim(
        f"{name}_{kind}", f"{GENERALISTS[name]} does better on {label} than on plain roll-outs.", "not tried", Exceeds()
    )
    for name in GENERALISTS
    for kind, label in LABELS.items()
    if kind != "rl"
)


def rollouts(plan: Plan, task: str, seed: int, episodes: int) -> Cell:
    """Plain roll-outs of a task's specialist."""
    return plan.collection(task, plan.specialist(task, seed), episodes, seed)


def extra(plan: Plan) -> int:
    """Episodes per connector that are not plain, in the arms with labels of the specialist's."""
    return plan.episodes // 3


def own_way(plan: Plan, seed: int) -> tuple[Cell, ...]:
    """The plain part of these arms: successes only, so that no failure stands there uncorrected."""
    count = plan.episodes - extra(plan)
    return tuple(successes(plan, rollouts(plan, task, seed, count)) for task in plan.seen)


def pushed(plan: Plan, task: str, seed: int) -> Cell:
    """Episodes in which the specialist was pushed, with the actions that it would have taken."""
    specialist = plan.specialist(task, seed)
    policy = f"{specialist.folder}:pushes={PUSHES:g}"
    data = mixed_collection(plan, task, policy, (specialist,), extra(plan), ELSEWHERE + seed, successes=False)
    return relabelled(plan, data, specialist)


def corrected(plan: Plan, first: Cell, task: str, seed: int) -> Cell:
    """Episodes of a generalist with the actions that the specialist would have taken."""
    data = mixed_collection(plan, task, str(first.folder), (first,), extra(plan), ELSEWHERE + seed, successes=False)
    return relabelled(plan, data, plan.specialist(task, seed))


def data(plan: Plan, name: Generalist, kind: str, seed: int) -> Sequence[Cell]:
    """The data sets of one kind, per connector or in parts."""
    match kind:
        case "fastest" | "diverse":
            doubled = (rollouts(plan, task, seed, 2 * plan.episodes) for task in plan.seen)
            return tuple(chosen(plan, one, kind, plan.episodes) for one in doubled)
        case "likeliest":
            plain = ((task, successes(plan, rollouts(plan, task, seed, plan.episodes))) for task in plan.seen)
            return tuple(relabelled(plan, one, plan.specialist(task, seed), sampled=False) for task, one in plain)
        case "recoveries":
            return (*own_way(plan, seed), *(pushed(plan, task, seed) for task in plan.seen))
        case "dagger":
            first = plan.generalist(name, own_way(plan, seed), seed, updates(plan))
            return (*own_way(plan, seed), *(corrected(plan, first, task, seed) for task in plan.seen))
        case _:
            return plan.sets("rl", plan.seen, plan.episodes, seed)


def updates(plan: Plan) -> int | None:
    """Of every generalist; by default the plan's."""
    return plan.pick(None, 200)


def contest(plan: Plan, name: Generalist) -> Contest:
    """All kinds of data for one generalist: DAgger's differs from one to the other."""
    return Contest(
        plan,
        {kind: lambda seed, kind=kind: data(plan, name, kind, seed) for kind in LABELS},
        {"all connectors": (*plan.seen, *plan.unseen), "seen": plan.seen, "unseen": plan.unseen},
        change=lambda kind, training: trained_on_failures(plan, training) if kind in CORRECTED else training,
        generalists=(name,),
        updates=updates(plan),
        scenes=plan.pick(None, 10),
    )


def cells(plan: Plan) -> list[Cell]:
    """All cells that are read here."""
    return [cell for name in plan.generalists for cell in contest(plan, name).cells()]


def findings(plan: Plan) -> Findings:
    """Claims, and success by kind of data."""
    claims = {claim.key: claim for claim in CLAIMS}
    made: dict[Generalist, Contest] = {name: contest(plan, name) for name in plan.generalists}
    outcomes = [
        one.against(claims[f"{name}_{kind}"], name, kind, "rl", "all connectors")
        for name, one in made.items()
        for kind in LABELS
        if kind != "rl"
    ]
    tables = [one.table(f"Success of {GENERALISTS[name]}", LABELS) for name, one in made.items()]
    figures = [
        one.figure(name, f"{GENERALISTS[name]} at equal numbers of episodes", LABELS) for name, one in made.items()
    ]
    return Findings(outcomes, tables, figures)
