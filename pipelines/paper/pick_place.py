"""Pick and place: a pepper goes from a tray into a bowl; unseen are a cucumber, another tray and table, and both.

Claim: trained on the same number of successful episodes, a generalist succeeds more often after RL data than after
teleoperated data, with the object and the background that it was trained on and with others.

Paper: of 20 trials, OpenVLA 19 against 16 seen, 10 unseen (teleoperated: not found); Octo, second-hand and doubtful, 4
against 1 seen, 4 against 0 unseen. The specialist, which saw pictures, had 20 seen and 1 unseen.

Run: python -m pipelines.paper pick-place

Takes: on two idle cores 40 minutes for both generalists and three seeds, by the sum of the expected seconds of its
cells, and the three specialists, which take minutes each; quick two. Not tried on a GPU, which would help the
trainings, half of it. In a quick run the scripted expert stands in for the specialist.

Verdict: for each generalist, seen and unseen, agrees if the 95 % interval of the paired difference lies above zero,
differs if it lies below +5 points; inconclusive also where an arm still rose at the end of its training. 50 successes
of each kind (from the names of the paper's runs; 15 in a quick run).
"""

from collections.abc import Sequence

from pipelines.demo import ARMS
from pipelines.paper.cell import Cell
from pipelines.paper.contest import Contest
from pipelines.paper.findings import Claim, Findings
from pipelines.paper.plan import Plan
from pipelines.paper.verdict import Exceeds
from rldg.evaluation.findings import DATA, GENERALISTS

TITLE = "Pick and place (section 4, Fig. 4)"
TASK = "pick_and_place"
GROUPS = {
    "seen": (TASK,),
    "unseen object": (f"{TASK}_unseen_object",),
    "unseen background": (f"{TASK}_unseen_background",),
    "unseen": (f"{TASK}_unseen",),
}
REPORTED = {
    ("octo", "seen"): "4/20 against 1/20",
    ("octo", "unseen"): "4/20 against 0/20",
    ("openvla", "seen"): "19/20 against 16/20",
    ("openvla", "unseen"): "RL data: 10/20; teleoperated: not known",
}
CLAIMS = tuple(
    Claim(
        f"{name}_{group}",
        f"{GENERALISTS[name]} puts the {group} object into the bowl more often after RL data.",
        reported,
        Exceeds(),
        second_hand=True,
    )
    for (name, group), reported in REPORTED.items()
)


def contest(plan: Plan) -> Contest:
    """Both kinds of data, tried on all four tasks; in a quick run on the first and the last."""
    episodes = plan.pick(50, 15)

    def data(arm: str, seed: int) -> Sequence[Cell]:
        if plan.quick and arm == "rl":
            return (plan.collection(TASK, "expert", episodes, seed),)
        return plan.sets(arm, (TASK,), episodes, seed)

    groups = {name: tasks for name, tasks in GROUPS.items() if not plan.quick or name in ("seen", "unseen")}
    return Contest(plan, {arm: lambda seed, arm=arm: data(arm, seed) for arm in ARMS}, groups)


def cells(plan: Plan) -> list[Cell]:
    """All cells that are read here."""
    return contest(plan).cells()


def findings(plan: Plan) -> Findings:
    """Claims, and success by what was new."""
    made = contest(plan)
    claims = {claim.key: claim for claim in CLAIMS}
    outcomes = [
        made.against(claims[f"{name}_{group}"], name, *ARMS, group)
        for name in plan.generalists
        for group in ("seen", "unseen")
    ]
    notes = ["The paper's generalists had been pre-trained on robot data and language; these begin from nothing."]
    if plan.quick:
        notes.append("The scripted expert stood in for the specialist.")
    return Findings(outcomes, [made.table("Success", DATA)], [made.figure("success", "Success", DATA)], notes)
