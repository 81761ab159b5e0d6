"""Better actions or better states: teleoperated states with the specialist's actions, between both pure sources.

Claim: relabelling teleoperated states with the specialist's actions helps, so that part of what RL data brings are
better actions; roll-outs of the specialist are better still, so that its states bring something too.

Paper: FMB insertion, 25 to 300 episodes. Relabelled data beat teleoperated data by more than half at 25, 50 and 75
episodes, pure RL data were best at every size, relabelling closed most of the gap (Fig. 7; points not known).

Run: python -m pipelines.paper ablation

Takes: on two idle cores a good two hours for both generalists, three sizes and three seeds, by the sum of the
expected seconds of its cells; quick three minutes. Not tried on a GPU, which would help the trainings most.

Verdict: at 75 episodes (15 in a quick run), for each generalist, relabelled minus teleoperated and RL minus relabelled:
agrees if the 95 % interval of the paired difference lies above zero, differs if it lies below +5 points; inconclusive
also where an arm still rose at the end of its training. The other sizes are shown beside it.

Relabelled actions are sampled as those of the roll-outs are, so that states are all that differs between the two.
"""

from collections.abc import Sequence

from pipelines.generalists import Generalist
from pipelines.paper.cell import Cell
from pipelines.paper.contest import Contest
from pipelines.paper.edits import relabelled
from pipelines.paper.findings import Claim, Figure, Findings, Quantity, Series, Table
from pipelines.paper.measure import success
from pipelines.paper.plan import Plan
from pipelines.paper.verdict import Exceeds
from rldg.evaluation.findings import DATA, GENERALISTS

TITLE = "Ablation: states and actions (section 4.5, Fig. 7)"
TASK = "fmb_insertion"
LABELS = DATA | {"relabelled": "Teleoperated states, RL actions"}
SOURCES = ("teleoperator", "relabelled", "rl")
STATEMENTS = {  # better, worse -> what is said, what is reported
    ("relabelled", "teleoperator"): ("does better on teleoperated states with RL actions", "more than half better"),
    ("rl", "relabelled"): ("does better still on the specialist's own states", "best at every size"),
}
CLAIMS = tuple(
    Claim(f"{name}_{better}", f"{GENERALISTS[name]} {says}.", reported, Exceeds())
    for name in GENERALISTS
    for (better, _), (says, reported) in STATEMENTS.items()
)


def sizes(plan: Plan) -> tuple[int, ...]:
    """Episodes per data set."""
    return plan.pick((25, 75, 300), (15,))


def judged(plan: Plan) -> int:
    """The size that the verdicts are about."""
    return plan.pick(75, 15)


def contest(plan: Plan, episodes: int) -> Contest:
    """The three sources at one size."""

    def data(source: str, seed: int) -> Sequence[Cell]:
        if source != "relabelled":
            return plan.sets(source, (TASK,), episodes, seed)
        (teleoperated,) = plan.sets("teleoperator", (TASK,), episodes, seed)
        return (relabelled(plan, teleoperated, plan.specialist(TASK, seed)),)

    return Contest(plan, {arm: lambda seed, arm=arm: data(arm, seed) for arm in SOURCES}, {"insertion": (TASK,)})


def cells(plan: Plan) -> list[Cell]:
    """All cells that are read here."""
    return [cell for count in sizes(plan) for cell in contest(plan, count).cells()]


def findings(plan: Plan) -> Findings:
    """Claims, and success against the number of episodes."""
    made = contest(plan, judged(plan))
    claims = {claim.key: claim for claim in CLAIMS}
    outcomes = [
        made.against(claims[f"{name}_{better}"], name, better, worse, "insertion")
        for name in plan.generalists
        for better, worse in STATEMENTS
    ]
    found = {
        (name, source): [success(contest(plan, count).arm(name, source).on((TASK,))) for count in sizes(plan)]
        for name in plan.generalists
        for source in SOURCES
    }
    columns = ("policy", "data", *(f"{count} episodes" for count in sizes(plan)))
    rows = [(GENERALISTS[name], LABELS[source], *by_size) for (name, source), by_size in found.items()]
    figures = [_figure(plan, name, {source: found[name, source] for source in SOURCES}) for name in plan.generalists]
    return Findings(outcomes, [Table("Success by source and number of episodes", columns, rows)], figures)


def _figure(plan: Plan, name: Generalist, found: dict[str, list[Quantity]]) -> Figure:
    series = [
        Series(
            LABELS[source],
            sizes(plan),
            [q.value for q in by_size],
            [q.low for q in by_size],
            [q.high for q in by_size],
            source,
        )
        for source, by_size in found.items()
    ]
    return Figure(name, GENERALISTS[name], "episodes", "success", series, x_log=True, share=True)
