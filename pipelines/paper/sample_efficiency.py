"""How many episodes it takes: success against the size of the data set, RL against teleoperated.

Claim: a generalist needs several times fewer episodes of RL data than of teleoperated data, on a connector that it was
trained on (VGA) as well as on one that it was not (USB-C), where teleoperated data stops helping before it is perfect.

Paper: Fig. 5, OpenVLA. VGA, from episodes on VGA alone: 100 % with 45 RL episodes, with teleoperated ones 300 are
needed. USB-C, from episodes on the three seen connectors: 100 % with 150 RL episodes, about 90 % with 900 teleoperated
ones (second-hand).

Run: python -m pipelines.paper sample-efficiency

Takes: on two idle cores about three hours for three seeds, by the sum of the expected seconds of its cells;
quick six. Not tried on a GPU, which would help the trainings, two thirds of it. The first generalist of the
plan only.

Verdict: few RL episodes are as good as many teleoperated ones if the 95 % interval of the paired difference lies above
-10 points, differs if it lies below zero; better, and better at equal numbers, if it lies above zero, differs if it
lies below +5 points. Inconclusive also where an arm still rose at the end of its training; sets of more than 150
episodes are trained on for twice as long.
"""

from collections.abc import Sequence

from pipelines.demo import ARMS
from pipelines.paper.cell import Cell
from pipelines.paper.contest import Contest
from pipelines.paper.findings import Claim, Figure, Findings, Outcome, Quantity, Series, Table
from pipelines.paper.measure import difference, success
from pipelines.paper.plan import TRAINING, Plan
from pipelines.paper.verdict import Exceeds
from rldg.evaluation.findings import DATA, GENERALISTS

TITLE = "Sample efficiency (Fig. 5)"
AS_GOOD = Exceeds(-0.1, relevant=0.1)
CLAIMS = (
    Claim("seen_fewer", "45 RL episodes do as well as 300 teleoperated ones on VGA.", "100 % both", AS_GOOD),
    Claim("seen_equal", "45 RL episodes do better than 45 teleoperated ones on VGA.", "100 % against less", Exceeds()),
    Claim("unseen_fewer", "150 RL episodes do better than 900 teleoperated ones on USB-C.", "100 % against about 90 %",
          Exceeds(), second_hand=True),
)  # fmt: skip
LONG = 150  # episodes, from more than which on a set is trained on for twice as long


def trained_on(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Group -> the connectors whose episodes it is about: VGA alone, or all that are seen."""
    return {"seen": plan.seen[-1:], "unseen": plan.seen}


def tried_on(plan: Plan) -> dict[str, str]:
    """Group -> the connector that is tried."""
    return {"seen": plan.seen[-1], "unseen": plan.unseen[0]}


def sizes(plan: Plan) -> dict[str, tuple[int, ...]]:
    """Group -> episodes per connector. The claims are about the second and the last."""
    return {
        "seen": plan.pick((15, 45, 150, 300), (5, 15, 45)),
        "unseen": plan.pick((15, 50, 100, 300), (5, 15, 45)),
    }


def contest(plan: Plan, group: str, episodes: int) -> Contest:
    """Both kinds of data, so many successes of each connector."""
    tasks = trained_on(plan)[group]
    usual, _ = TRAINING[plan.generalists[0]]
    longer = not plan.quick and episodes * len(tasks) > LONG
    return Contest(
        plan,
        {arm: lambda seed, arm=arm: plan.sets(arm, tasks, episodes, seed) for arm in ARMS},
        {group: (tried_on(plan)[group],)},
        generalists=plan.generalists[:1],
        updates=2 * usual if longer else None,
        scenes=plan.pick(100, 20),
    )


def cells(plan: Plan) -> list[Cell]:
    """All sizes of both groups."""
    return [cell for group, counts in sizes(plan).items() for n in counts for cell in contest(plan, group, n).cells()]


def findings(plan: Plan) -> Findings:
    """Claims, and success against the number of episodes."""
    seen_fewer, seen_equal, unseen_fewer = CLAIMS
    outcomes = [
        _outcome(plan, seen_fewer, "seen", sizes(plan)["seen"][-1]),
        _outcome(plan, seen_equal, "seen", sizes(plan)["seen"][1]),
        _outcome(plan, unseen_fewer, "unseen", sizes(plan)["unseen"][-1]),
    ]
    tables, figures = [], []
    for group, counts in sizes(plan).items():
        connectors = len(trained_on(plan)[group])
        totals = [n * connectors for n in counts]
        title = f"{tried_on(plan)[group]}: success against episodes"
        rates = {arm: [_rate(plan, group, n, arm) for n in counts] for arm in ARMS}
        rows = [(DATA[arm], *found) for arm, found in rates.items()]
        tables.append(Table(title, ("data", *(f"{total} episodes" for total in totals)), rows))
        series = [_series(arm, totals, found) for arm, found in rates.items()]
        figures.append(Figure(group, title, "episodes", "", series, x_log=True, share=True))
    return Findings(outcomes, tables, figures, [f"Generalist: {GENERALISTS[plan.generalists[0]]}."])


def _outcome(plan: Plan, claim: Claim, group: str, teleoperated: int) -> Outcome:
    """The RL arm with the second smallest number of episodes against so many teleoperated ones."""
    name, task = plan.generalists[0], (tried_on(plan)[group],)
    few = contest(plan, group, sizes(plan)[group][1]).arm(name, "rl")
    many = contest(plan, group, teleoperated).arm(name, "teleoperator")
    rising = tuple(DATA[arm.name] for arm in (few, many) if arm.rises)
    return Outcome(claim, difference(few.on(task), many.on(task)), rising)


def _rate(plan: Plan, group: str, episodes: int, arm: str) -> Quantity:
    tried = contest(plan, group, episodes).arm(plan.generalists[0], arm)
    return success(tried.on((tried_on(plan)[group],)))


def _series(arm: str, totals: Sequence[int], found: Sequence[Quantity]) -> Series:
    return Series(
        DATA[arm], totals, [one.value for one in found], [one.low for one in found], [one.high for one in found], arm
    )
