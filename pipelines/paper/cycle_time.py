"""Cycle times: how long a success takes, of the specialists and of generalists on either kind of data, and at 4 Hz.

Claim: policies that learned from RL data are faster than those that learned from teleoperated data; OpenVLA on RL data
is slower than the specialists that it learned from, which the authors put down to its acting at 4 Hz instead of 10.

Paper: Fig. 6 and section 4; directions only, the bars' values were not found. Cycle times are over successes.

Run: python -m pipelines.paper cycle-time

Takes: on two idle cores four minutes for three seeds beyond what `connectors` runs, by the sum of the expected seconds
of its cells; quick half a minute. Nothing is trained, so a GPU hardly helps.

Verdict: of each ratio of steps (seconds for the rate) over the scenes in which both succeeded, agrees if its 95 %
interval over scenes and seeds lies above 1, differs if it lies below 1.1.
"""

from pipelines.demo import ARMS
from pipelines.generalists import Generalist
from pipelines.paper import connectors
from pipelines.paper.cell import HERE, Cell
from pipelines.paper.findings import Claim, Entry, Findings, Outcome, Table
from pipelines.paper.measure import evaluations, ratio, seconds, steps, success
from pipelines.paper.paced import Args as Paced
from pipelines.paper.plan import Plan
from pipelines.paper.verdict import Exceeds
from rldg.evaluation.compare import Evaluation
from rldg.evaluation.findings import DATA, GENERALISTS

TITLE = "Cycle time (Fig. 6)"
RATE = 4.0  # Hz, at which OpenVLA acted in the paper
LONGER = Exceeds(1.0, relevant=0.1)
NAMES: tuple[Generalist, ...] = ("octo", "openvla")
CLAIMS = (
    *(
        Claim(f"{name}_data", f"{GENERALISTS[name]} takes more steps after teleoperated data than after RL data.",
              "slower", LONGER)
        for name in NAMES
    ),
    *(
        Claim(f"{name}_teacher", f"{GENERALISTS[name]} on RL data takes more steps than the specialists.",
              "slower" if name == "openvla" else "not known", LONGER)
        for name in NAMES
    ),
    *(
        Claim(f"{name}_rate", f"{GENERALISTS[name]} on RL data takes more seconds at 4 Hz than at 10 Hz.",
              "held to be the reason" if name == "openvla" else "not tried", LONGER)
        for name in NAMES
    ),
)  # fmt: skip


def slowed(plan: Plan, name: Generalist) -> list[Cell]:
    """The generalist on RL data at 4 Hz on the seen connectors, one cell per seed; in simulation only."""
    if not plan.simulated:
        return []
    tried = connectors.contest(plan).arm(name, "rl").evaluations
    return [
        plan.cell(
            f"paced_{name}",
            Paced(plan.seen, cell.args.policy, HERE, RATE, plan.scenes, plan.station),
            cell.needs,
            8 + 0.5 * plan.scenes * len(plan.seen),
        )
        for cell in tried
    ]


def cells(plan: Plan) -> list[Cell]:
    """Those of `connectors`, and the slowed ones."""
    return connectors.cells(plan) + [cell for name in plan.generalists for cell in slowed(plan, name)]


def findings(plan: Plan) -> Findings:
    """Claims, and times by policy on the seen connectors."""
    held, claims = connectors.contest(plan), {claim.key: claim for claim in CLAIMS}
    teachers = evaluations(connectors.specialists(plan))
    outcomes: list[Outcome] = []
    rows = [_row("RL specialists", "their own", teachers)]
    for name in plan.generalists:
        rl, teleoperated = (held.arm(name, kind).on(plan.seen) for kind in ARMS)
        slow = evaluations(slowed(plan, name))
        outcomes += [
            Outcome(claims[f"{name}_data"], ratio(teleoperated, rl, lambda trial: trial.steps)),
            Outcome(claims[f"{name}_teacher"], ratio(rl, teachers, lambda trial: trial.steps)),
        ]
        rows += [_row(GENERALISTS[name], DATA[kind], arm) for kind, arm in zip(ARMS, (rl, teleoperated), strict=True)]
        if slow:
            outcomes.append(Outcome(claims[f"{name}_rate"], ratio(slow, rl, lambda trial: trial.seconds)))
            rows.append(_row(f"{GENERALISTS[name]} at {RATE:g} Hz", DATA["rl"], slow))
    columns = ("policy", "data", "steps per success", "seconds per success", "success")
    return Findings(outcomes, [Table("Cycle times on the seen connectors", columns, rows)])


def _row(policy: str, data: str, arm: list[Evaluation]) -> tuple[Entry, ...]:
    return policy, data, steps(arm), seconds(arm), success(arm)
