"""Precise connector insertion: three seen connectors, four unseen ones, RL against teleoperated data.

Claim: trained on the same number of successful episodes, a generalist does better on the data of RL specialists than
on teleoperated data, on the connectors that it was trained on and on others; the specialists succeed always.

Paper: 45 episodes (15 each of USB-A, VGA, Ethernet), 20 trials per connector on one robot. Seen: OpenVLA +23 points,
Octo +37. Unseen (USB-C, HDMI, DisplayPort, XLR; second-hand): OpenVLA 73/80, more than twice as many as with
teleoperated data; Octo 50/80. Specialists: consistently 100 %.

Run: python -m pipelines.paper connectors

Takes: on two idle cores 54 minutes for both generalists and three seeds, by the sum of the expected seconds of
its cells; quick two. On a GPU the trainings of the small generalists are no bottleneck; simulation takes the time.

Verdict: of each difference, agrees if its 95 % interval over scenes and seeds lies above zero, differs if it lies below
+5 points; inconclusive also where an arm's success still rose between half and the end of its training. Of the
specialists, agrees if the whole interval of their success on their own connectors reaches 95 %.
"""

from collections.abc import Sequence

from pipelines.demo import ARMS
from pipelines.paper.cell import Cell
from pipelines.paper.contest import Contest
from pipelines.paper.findings import Claim, Entry, Findings, Outcome, Quantity, Table
from pipelines.paper.measure import evaluations, success
from pipelines.paper.plan import Plan
from pipelines.paper.verdict import AtLeast, Exceeds
from rldg.evaluation.compare import Evaluation
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


def contest(plan: Plan) -> Contest:
    """Both kinds of data, of all seen connectors together, tried on all connectors."""
    return Contest(
        plan,
        {arm: lambda seed, arm=arm: plan.sets(arm, plan.seen, plan.episodes, seed) for arm in ARMS},
        {"seen": plan.seen, "unseen": plan.unseen},
    )


def specialists(plan: Plan) -> list[Cell]:
    """The trials of each specialist on its own connector."""
    return [plan.evaluation(plan.specialist(task, seed), (task,)) for task in plan.seen for seed in plan.seeds]


def cells(plan: Plan) -> list[Cell]:
    """All cells that are read here."""
    return specialists(plan) + contest(plan).cells()


def findings(plan: Plan) -> Findings:
    """Claims, success by connector, and the figure of both groups."""
    held = contest(plan)
    claims = {claim.key: claim for claim in CLAIMS}
    own = evaluations(specialists(plan))
    outcomes = [Outcome(SPECIALISTS, success(own))]
    rows: list[tuple[Entry, ...]] = [
        ("RL specialists", "their own", *_by_task(own, plan.seen), *(None for _ in plan.unseen))
    ]
    for name in plan.generalists:
        outcomes += [held.against(claims[f"{name}_{group}"], name, *ARMS, group) for group in held.groups]
        for kind in ARMS:
            tried = held.arm(name, kind).on(held.tasks)
            rows.append((GENERALISTS[name], DATA[kind], *_by_task(tried, held.tasks)))
    columns = ("policy", "data", *(task.removesuffix("_insertion") for task in held.tasks))
    return Findings(
        outcomes,
        [Table("Success by connector", columns, rows), held.table("Success by group", DATA)],
        [held.figure("success", "Success on locked scenes", DATA)],
        [f"{plan.scenes} locked scenes per connector, policy and seed; {plan.episodes} episodes per seen connector."],
    )


def _by_task(arm: Sequence[Evaluation], tasks: Sequence[str]) -> list[Quantity]:
    return [success([one for one in arm if one.summary.task == task]) for task in tasks]
