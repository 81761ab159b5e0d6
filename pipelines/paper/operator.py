"""How much hangs on who teleoperates: the claims again, against operators of other skill.

Claim: RL data beat the data of every operator: one without habits (the scripted expert), a skilled one, an average one
and a clumsy one.

Paper: experts with a SpaceMouse, of unknown number and skill.

Run: python -m pipelines.paper operator

Takes: on two idle cores four and a half hours for Octo and three seeds beyond what the other modules have run, by the
sum of the expected seconds of its cells; quick three minutes, with two operators and two of the experiments. Not tried
on a GPU, which would help the trainings, three fifths of it.

Verdict: of every claim of the experiments below, against all operators together: agrees if it does by its own rule
against each, differs if it does against one. It turns at the first operator, from the least skilled to the best,
against whose data it no longer agrees.

Skill is a preset of the simulated teleoperator (docs/teleoperator.md), who is not a person. The specialists' twenty
demonstrations stay the skilled operator's throughout: only the data that RL data are compared with change. Sample
efficiency is left out: with three more operators it alone would take most of a day.
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from types import ModuleType

from pipelines.paper.cell import Cell
from pipelines.paper.findings import Claim, Findings, Outcome, Table
from pipelines.paper.plan import Plan
from pipelines.paper.verdict import Verdict

TITLE = "The claims against the skill of the operator (not in the paper)"
SKILLS = {  # from the least skilled on
    "teleoperator:clumsy": "clumsy",
    "teleoperator:average": "average",
    "teleoperator": "skilled",
    "expert": "without habits",
}
EXPERIMENTS = (
    "connectors",
    "cycle_time",
    "action_distribution",
    "ablation",
    "bottleneck",
    "pick_place",
    "fmb_insertion",
)
# Claims that say nothing of teleoperated data.
WITHOUT = {"specialists", "octo_teacher", "octo_rate"}


def _experiments(names: Sequence[str] = EXPERIMENTS) -> dict[str, ModuleType]:
    return {name: import_module(f"pipelines.paper.{name}") for name in names}


def _looked_at(claim: Claim) -> bool:
    return claim.key not in WITHOUT and not claim.key.startswith("openvla")


def _against_all(module: str, claim: Claim) -> Claim:
    return replace(claim, key=f"{module}_{claim.key}", says=f"Whoever teleoperates: {claim.says}")


CLAIMS = tuple(
    _against_all(name, claim) for name, module in _experiments().items() for claim in module.CLAIMS if _looked_at(claim)
)


def plans(plan: Plan) -> dict[str, Plan]:
    """By skill, what the experiments are run with: Octo, and that operator."""
    chosen = plan.pick(tuple(SKILLS), ("teleoperator:clumsy", "teleoperator"))
    return {SKILLS[name]: replace(plan, teleoperator=name, generalists=("octo",)) for name in chosen}


def experiments(plan: Plan) -> dict[str, ModuleType]:
    """Whose claims are looked at again."""
    return _experiments(plan.pick(EXPERIMENTS, ("action_distribution", "fmb_insertion")))


def cells(plan: Plan) -> list[Cell]:
    """All cells that are read here; those of the skilled operator are the experiments' own."""
    return [cell for one in plans(plan).values() for module in experiments(plan).values() for cell in module.cells(one)]


def findings(plan: Plan) -> Findings:
    """Every claim against all operators together, and where it turns."""
    outcomes, rows = [], []
    for name, module in experiments(plan).items():
        by_skill = {skill: _outcomes(module, one) for skill, one in plans(plan).items()}
        for claim in filter(_looked_at, module.CLAIMS):
            found = {skill: one[claim.key] for skill, one in by_skill.items()}
            outcomes.append(against_all(_against_all(name, claim), found))
            rows.append((f"{module.TITLE}: {claim.says}", *(one.here for one in found.values()), turns(found)))
    columns = ("claim", *plans(plan), "turns at")
    return Findings(
        outcomes, [Table("What each claim comes to, by the operator that it is made against", columns, rows)]
    )


def against_all(claim: Claim, by_skill: dict[str, Outcome]) -> Outcome:
    """The claim against the operators together: its number is the least, and so are the ends of its interval.

    So `Exceeds` agrees if it does against each of them, and differs if it does against one.
    """
    found = [one.here for one in by_skill.values()]
    value, low, high = (min(getattr(one, end) for one in found) for end in ("value", "low", "high"))
    rising = tuple(dict.fromkeys(arm for one in by_skill.values() for arm in one.rising))
    return Outcome(claim, replace(found[0], value=value, low=low, high=high), rising, f"turns at: {turns(by_skill)}")


def _outcomes(module: ModuleType, plan: Plan) -> dict[str, Outcome]:
    return {one.claim.key: one for one in module.findings(plan).outcomes}


def turns(by_skill: dict[str, Outcome]) -> str:
    """The first operator, in the order given, against whom a claim does not agree."""
    return next((skill for skill, one in by_skill.items() if one.verdict is not Verdict.AGREES), "no operator")
