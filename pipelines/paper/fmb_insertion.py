"""FMB insertion: the peg is in the hand, the board with its hole stands somewhere else every time.

Claim: trained on the same number of successful episodes, a generalist inserts the peg more often after RL data than
after teleoperated data.

Paper: OpenVLA +33 points, Octo +10 (30 trials each; known as differences only). It tried no other peg; here the same
generalists are tried on other shapes too, without a claim to judge.

Run: python -m pipelines.paper fmb-insertion

Takes: on two idle cores 40 minutes for both generalists and three seeds, by the sum of the expected seconds of its
cells; quick two. Not tried on a GPU, which would help the trainings, half of it.

Verdict: for each generalist, agrees if the 95 % interval of the paired difference lies above zero, differs if it lies
below +5 points; inconclusive also where an arm still rose at the end of its training. 75 successes of each kind (a size
in the names of the paper's runs; 15 in a quick run).
"""

from pipelines.demo import ARMS
from pipelines.paper.cell import Cell
from pipelines.paper.contest import Contest
from pipelines.paper.findings import Claim, Findings
from pipelines.paper.plan import Plan
from pipelines.paper.verdict import Exceeds
from rldg.evaluation.findings import DATA, GENERALISTS

TITLE = "FMB insertion (section 4, Fig. 4)"
TASK = "fmb_insertion"
OTHERS = tuple(f"{TASK}_{shape}" for shape in ("square", "hexagon", "round"))
REPORTED = {"octo": "+10 points", "openvla": "+33 points"}
CLAIMS = tuple(
    Claim(f"{name}_seen", f"{GENERALISTS[name]} inserts the peg more often after RL data.", reported, Exceeds())
    for name, reported in REPORTED.items()
)


def contest(plan: Plan) -> Contest:
    """Both kinds of data on one peg, tried on it and on others."""
    episodes = plan.pick(75, 15)
    return Contest(
        plan,
        {arm: lambda seed, arm=arm: plan.sets(arm, (TASK,), episodes, seed) for arm in ARMS},
        {"trained peg": (TASK,), "other pegs": plan.pick(OTHERS, OTHERS[:1])},
        {"specialist": lambda seed: (plan.specialist(TASK, seed),)},
    )


def cells(plan: Plan) -> list[Cell]:
    """All cells that are read here."""
    return contest(plan).cells()


def findings(plan: Plan) -> Findings:
    """Claims, and success on the trained peg and on others."""
    made = contest(plan)
    claims = {claim.key: claim for claim in CLAIMS}
    outcomes = [made.against(claims[f"{name}_seen"], name, *ARMS, "trained peg") for name in plan.generalists]
    labels = DATA | {"specialist": "RL specialist"}
    notes = ["The specialist acts on exact poses, so that another shape is nothing new to it."]
    return Findings(outcomes, [made.table("Success", labels)], [made.figure("success", "Success", labels)], notes)
