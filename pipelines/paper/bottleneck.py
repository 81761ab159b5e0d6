"""RL for the bottleneck alone: in FMB assembly, grasps are teleoperated and insertions are a specialist's.

Claim: trained on episodes in which an operator grasps and carries the peg and a specialist of the insertion inserts it,
a generalist assembles more often than after the same number of episodes that are teleoperated from beginning to end.

Paper: OpenVLA 20/20 against 12/20, second-hand; of Octo nothing certain is known.

Run: python -m pipelines.paper bottleneck

Takes: on two idle cores half an hour for both generalists and three seeds, by the sum of the expected seconds of its
cells; quick two minutes. Not tried on a GPU, which would help the trainings, three fifths of it.

Verdict: for each generalist, agrees if the 95 % interval of the paired difference lies above zero, differs if it lies
below +5 points; inconclusive also where an arm still rose at the end of its training. 75 successes of each kind (from
the names of the paper's runs; 15 in a quick run).

The paper merges a set of insertions and a set of grasps. Here one episode holds both: the operator acts until the peg
is held over its hole, then the specialist of `fmb_insertion` does (`rldg.policies.relay`), so that both arms have the
same operator's grasps of the same scenes, and the insertion is all that differs.
"""

from collections.abc import Sequence

from pipelines.demo import ARMS
from pipelines.paper.cell import Cell
from pipelines.paper.contest import Contest
from pipelines.paper.edits import mixed_collection
from pipelines.paper.findings import Claim, Findings
from pipelines.paper.plan import Plan
from pipelines.paper.verdict import Exceeds
from rldg.evaluation.findings import DATA, GENERALISTS

TITLE = "RL for the bottleneck alone, FMB assembly (section 4.4)"
TASK, BOTTLENECK = "fmb_assembly", "fmb_insertion"
REPORTED = {"octo": "not known", "openvla": "20/20 against 12/20"}
CLAIMS = tuple(
    Claim(
        f"{name}_assembly",
        f"{GENERALISTS[name]} assembles more often when a specialist makes the insertions in its data.",
        reported,
        Exceeds(),
        second_hand=True,
    )
    for name, reported in REPORTED.items()
)


def contest(plan: Plan) -> Contest:
    """Both kinds of data on the assembly."""
    episodes = plan.pick(75, 15)

    def mixed(seed: int) -> Sequence[Cell]:
        specialist = plan.specialist(BOTTLENECK, seed)
        policy = f"{plan.teleoperator}:then={specialist.folder}"
        return (mixed_collection(plan, TASK, policy, (specialist,), episodes, seed),)

    teleoperated = {"teleoperator": lambda seed: plan.sets("teleoperator", (TASK,), episodes, seed)}
    return Contest(plan, {"rl": mixed} | teleoperated, {"assembly": (TASK,)})


def cells(plan: Plan) -> list[Cell]:
    """All cells that are read here."""
    return contest(plan).cells()


def findings(plan: Plan) -> Findings:
    """Claims, and success in assembly."""
    made = contest(plan)
    claims = {claim.key: claim for claim in CLAIMS}
    outcomes = [made.against(claims[f"{name}_assembly"], name, *ARMS, "assembly") for name in plan.generalists]
    labels = DATA | {"rl": "teleoperated grasps, RL insertions"}
    return Findings(outcomes, [made.table("Success", labels)], [made.figure("success", "Success", labels)])
