"""What a generalist adds to its teachers: specialists that see pictures, against the generalist distilled from them.

Claim: on connectors that nobody was trained on, and where light, colours and cameras are others, the generalist
distilled from specialists on pictures succeeds more often than these specialists.

Paper: pick and place, another object before another background: OpenVLA 10/20, Octo 4/20, the specialist 1/20
(second-hand). Of connectors it only says that a specialist is for one.

Run: python -m pipelines.paper generalisation

Takes: on two idle cores a good two hours for both generalists and three seeds, by the sum of the expected seconds of
its cells, three quarters of it the nine specialists on pictures; quick two minutes, with one that is stopped long
before it is good, all of whose episodes are distilled. Not tried on a GPU, which would help specialists most.

Verdict: for each generalist, on unseen connectors and in other looks, generalist minus its specialists (each tried on
every connector): agrees if the 95 % interval of the paired difference lies above zero, differs if it lies below +5
points; inconclusive also where the generalist still rose at the end of its training.

The paper's generalists had seen a million other episodes before; these begin from nothing, so that whatever they add
comes from the three connectors being learned together.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipelines.paper.cell import HERE, Cell, known_task
from pipelines.paper.contest import Contest
from pipelines.paper.edits import mixed_collection, trained_on_failures
from pipelines.paper.findings import Claim, Findings
from pipelines.paper.plan import Plan
from pipelines.paper.verdict import Exceeds
from rldg.cli import train
from rldg.evaluation.findings import DATA, GENERALISTS
from rldg.specialists.recipes import recipe

TITLE = "Specialists on pictures against the generalist distilled from them (section 4.2)"
GROUPS = {"unseen": "on unseen connectors", "looks": "in other light, colours and camera poses"}
REPORTED = {"octo": "4/20 against 1/20", "openvla": "10/20 against 1/20"}
CLAIMS = tuple(
    Claim(
        f"{name}_{group}",
        f"{GENERALISTS[name]} does better than the specialists that it was distilled from {where}.",
        f"another object before another background: {reported}",
        Exceeds(),
        second_hand=True,
    )
    for name, reported in REPORTED.items()
    for group, where in GROUPS.items()
)
# A snapshot at the end says that the policy is wanted as it is, even if it has not succeeded once.
BRIEF = {
    "least_updates": 1_000,
    "max_env_steps": 600,
    "snapshot_steps": 600,
    "confirm_episodes": 20,
    "confirm_per_round": 5,
}


def specialist(plan: Plan, task: str, seed: int) -> Cell:
    """A specialist on pictures; in a quick run one that was stopped early."""
    config = recipe(known_task(task), name="pixels")
    config = replace(config, **BRIEF) if plan.quick else config
    args = train.Args(task, HERE, seed, station=plan.station, config=config)
    return plan.cell("specialist_on_pictures", args, seconds=plan.pick(1200, 90))


def contest(plan: Plan) -> Contest:
    """The distilled generalists and the specialists, on all connectors."""

    def data(seed: int) -> Sequence[Cell]:
        if plan.quick:
            return tuple(_everything(plan, task, seed) for task in plan.seen)
        return tuple(plan.collection(task, specialist(plan, task, seed), plan.episodes, seed) for task in plan.seen)

    def teachers(seed: int) -> Sequence[Cell]:
        return tuple(specialist(plan, task, seed) for task in plan.seen)

    looks = tuple(f"{task}_randomised" for task in plan.seen)
    groups = {"seen": plan.seen, "unseen": plan.unseen, "looks": looks}
    return Contest(
        plan,
        {"rl": data},
        groups,
        {"specialist": teachers},
        change=lambda arm, training: trained_on_failures(plan, training) if plan.quick else training,
    )


def _everything(plan: Plan, task: str, seed: int) -> Cell:
    """All episodes of a specialist, which may never succeed."""
    one = specialist(plan, task, seed)
    return mixed_collection(plan, task, str(one.folder), (one,), plan.episodes, seed, successes=False)


def cells(plan: Plan) -> list[Cell]:
    """All cells that are read here."""
    return contest(plan).cells()


def findings(plan: Plan) -> Findings:
    """Claims, and success by what was new."""
    made = contest(plan)
    claims = {claim.key: claim for claim in CLAIMS}
    teachers = made.reference("specialist")
    outcomes = [
        made.outcome(claims[f"{name}_{group}"], made.arm(name, "rl"), teachers, group)
        for name in plan.generalists
        for group in GROUPS
    ]
    labels = DATA | {"specialist": "specialists on pictures, each on every connector"}
    notes = ["The specialist was stopped early and all its episodes were distilled."] if plan.quick else []
    return Findings(outcomes, [made.table("Success", labels)], [made.figure("success", "Success", labels)], notes)
