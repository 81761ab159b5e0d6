"""Precise connector insertion: three seen connectors, four unseen ones, RL against teleoperated data.

Claim: trained on the same number of successful episodes, a generalist does better on the data of RL specialists than
on teleoperated data, on the connectors that it was trained on and on others; the specialists succeed always.

Paper: 45 episodes (15 each of USB-A, VGA, Ethernet), 20 trials per connector on one robot. Seen: OpenVLA +23 points,
Octo +37. Unseen (USB-C, HDMI, DisplayPort, XLR; second-hand): OpenVLA 73/80, more than twice as many as with
teleoperated data; Octo 50/80. Specialists: consistently 100 %.

Run: python -m pipelines.paper connectors

Takes: on two idle cores about 50 minutes for both generalists and three seeds, by the sum of the expected seconds of
its cells; quick two. On a GPU the trainings of the small generalists are no bottleneck; simulation takes the time.

Verdict: of each difference, agrees if its 95 % interval over scenes and seeds lies above zero, differs if it lies below
+5 points; inconclusive also where an arm's success still rose between half and the end of its training. Of the
specialists, agrees if the whole interval of their success on their own connectors reaches 95 %.
"""

from collections.abc import Sequence

from pipelines.demo import ARMS
from pipelines.generalists import Generalist
from pipelines.paper.cell import Cell
from pipelines.paper.findings import Claim, Entry, Figure, Findings, Outcome, Quantity, Series, Table
from pipelines.paper.measure import difference, evaluations, still_rises, success
from pipelines.paper.plan import Plan
from pipelines.paper.verdict import AtLeast, Exceeds
from rldg.evaluation.findings import DATA, GENERALISTS

TITLE = "Precise connector insertion (section 4, Fig. 4)"
ADVANTAGE = Exceeds(0.0, relevant=0.05)
REPORTED = {
    ("octo", "seen"): ("+37 points", False),
    ("octo", "unseen"): ("RL data: 50/80; teleoperated: not known", True),
    ("openvla", "seen"): ("+23 points", False),
    ("openvla", "unseen"): ("RL data: 73/80, more than twice as many as on teleoperated data", True),
}
SPECIALISTS = Claim("specialists", "RL specialists succeed always on their connectors.", "100 %", AtLeast(0.95))
CLAIMS = (
    SPECIALISTS,
    *(
        Claim(
            f"{name}_{group}",
            f"{GENERALISTS[name]} does better on RL data than on teleoperated data, on {group} connectors.",
            reported,
            ADVANTAGE,
            second_hand,
        )
        for (name, group), (reported, second_hand) in REPORTED.items()
    ),
)


def arm(plan: Plan, name: Generalist, kind: str, seed: int) -> Cell:
    """The generalist of one kind of data and one seed; other modules share it."""
    return plan.generalist(name, plan.sets(kind, plan.seen, plan.episodes, seed), seed)


def arm_evaluations(plan: Plan, name: Generalist, kind: str) -> list[Cell]:
    """The trials of an arm on all connectors, one cell per seed."""
    return [plan.evaluation(arm(plan, name, kind, seed), (*plan.seen, *plan.unseen)) for seed in plan.seeds]


def specialist_evaluations(plan: Plan) -> list[Cell]:
    """The trials of each specialist on its own connector."""
    return [plan.evaluation(plan.specialist(task, seed), (task,)) for task in plan.seen for seed in plan.seeds]


def curves(plan: Plan, name: Generalist, kind: str) -> list[Cell]:
    """Success over training of the first seed's generalist, on the first seen connector; in simulation only."""
    return [plan.curve(arm(plan, name, kind, plan.seeds[0]), plan.seen[0])] if plan.simulated else []


def cells(plan: Plan) -> list[Cell]:
    """All cells that are read here."""
    found = specialist_evaluations(plan)
    for name in plan.generalists:
        for kind in ARMS:
            found += arm_evaluations(plan, name, kind) + curves(plan, name, kind)
    return found


def findings(plan: Plan) -> Findings:
    """Claims, success by connector, and the figure of both."""
    groups = {"seen": plan.seen, "unseen": plan.unseen}
    claims = {claim.key: claim for claim in CLAIMS}
    specialists = specialist_evaluations(plan)
    outcomes = [Outcome(SPECIALISTS, success(evaluations(specialists)))]
    rows: list[tuple[Entry, ...]] = [
        ("RL specialists", "their own", *_by_task(specialists, plan.seen), *(None for _ in plan.unseen))
    ]
    bars = []
    for name in plan.generalists:
        tried = {kind: arm_evaluations(plan, name, kind) for kind in ARMS}
        rising = tuple(DATA[kind] for kind in ARMS for curve in curves(plan, name, kind) if still_rises(curve))
        for group, tasks in groups.items():
            here = difference(*(evaluations(tried[kind], tasks) for kind in ARMS))
            outcomes.append(Outcome(claims[f"{name}_{group}"], here, rising))
        for kind in ARMS:
            by_task = _by_task(tried[kind], (*plan.seen, *plan.unseen))
            rows.append((GENERALISTS[name], DATA[kind], *by_task))
            bars.append(_series(f"{GENERALISTS[name]}, {DATA[kind]}", kind, [
                success(evaluations(tried[kind], tasks)) for tasks in groups.values()
            ]))  # fmt: skip
    columns = ("policy", "data", *(task.removesuffix("_insertion") for task in (*plan.seen, *plan.unseen)))
    return Findings(
        outcomes,
        [Table("Success by connector", columns, rows)],
        [
            Figure(
                "success",
                "Success on locked scenes",
                "connectors",
                "success",
                bars,
                "points",
                tuple(groups),
                share=True,
            )
        ],
        [f"{plan.scenes} locked scenes per connector, policy and seed; {plan.episodes} episodes per seen connector."],
    )


def _by_task(cells: Sequence[Cell], tasks: Sequence[str]) -> list[Quantity]:
    return [success(evaluations(cells, (task,))) for task in tasks]


def _series(label: str, kind: str, found: Sequence[Quantity]) -> Series:
    return Series(
        label, range(len(found)), [q.value for q in found], [q.low for q in found], [q.high for q in found], kind
    )
