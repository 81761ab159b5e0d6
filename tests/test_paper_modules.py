"""The experiments of the paper: what they would run, and what they make of planted outcomes. Nothing is trained."""

import json
import re
from dataclasses import asdict, replace
from importlib import import_module

import numpy as np
import pytest

from pipelines.paper import (
    MODULES,
    ablation,
    action_distribution,
    beyond,
    bottleneck,
    fmb_insertion,
    generalisation,
    operator,
)
from pipelines.paper.cell import HERE, Cell, make_cell
from pipelines.paper.findings import Quantity
from pipelines.paper.grid import run_grid
from pipelines.paper.plan import Plan
from pipelines.paper.results import with_needs
from pipelines.paper.verdict import Verdict
from rldg import geometry
from rldg.cli import evaluate
from rldg.data.lineage import read_lineage
from rldg.data.writer import DatasetWriter
from rldg.evaluation.trials import Trial, append_trial, summarise
from rldg.stage import write_json
from rldg.tasks import load_task
from tests.synthetic_episodes import make_episode


def plan_of(root, *, quick=True, **fields):
    plan = Plan(root=root, quick=quick, generalists=("octo",) if quick else ("octo", "openvla"), **fields)
    return replace(plan, seeds=(0,)) if quick else plan


def plant(arms, scenes=100, seed=0):
    """Writes the trials of arms (`contest.Arm` -> rate of success) where their evaluations would be."""
    for arm, rate in arms.items():
        for number, cell in enumerate(arm.evaluations):
            for task in cell.args.tasks:
                generator = np.random.default_rng([seed, number, *arm.name.encode(), *task.encode()])
                folder = cell.folder / task if len(cell.args.tasks) > 1 else cell.folder
                folder.mkdir(parents=True)
                digest = load_task(task).hash
                trials = [
                    Trial(i, i, digest, bool(won), "" if won else "jam", 20, 2.0, 0.0)
                    for i, won in enumerate(generator.random(scenes) < rate)
                ]
                for trial in trials:
                    append_trial(folder / "trials.jsonl", trial)
                write_json(folder / "summary.json", vars(summarise(task, cell.args.policy, trials)))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_does_and_what_it_runs(name, tmp_path):
    module = import_module(f"pipelines.paper.{name}")
    for paragraph in ("Claim", "Paper", "Run", "Takes", "Verdict"):
        assert re.search(rf"^{paragraph}( \(.*\))?:", module.__doc__, re.MULTILINE), paragraph
    keys = [claim.key for claim in module.CLAIMS]
    assert module.TITLE and keys and len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"\w+", key) for key in keys)
    for quick in (True, False):
        folders = [cell.folder for cell in with_needs(module.cells(plan_of(tmp_path, quick=quick)))]
        again = [cell.folder for cell in with_needs(module.cells(plan_of(tmp_path, quick=quick)))]
        assert folders == again and all(folder.is_relative_to(tmp_path) for folder in folders)
    for cell in module.cells(plan_of(tmp_path, quick=False)):
        assert not isinstance(cell.args, evaluate.Args) or cell.args.episodes * len(cell.args.tasks) >= 50


def test_experiments_share_what_they_have_in_common(tmp_path):
    plan = plan_of(tmp_path, quick=False)

    def folders(module, of=plan):
        return {cell.folder for cell in with_needs(module.cells(of))}

    assert folders(action_distribution) <= folders(fmb_insertion)
    assert len(folders(ablation) & folders(fmb_insertion)) > len(folders(action_distribution))
    octo = replace(plan, generalists=("octo",))
    for module in (fmb_insertion, ablation, bottleneck):
        assert folders(module, octo) <= folders(operator)


def test_another_operator_changes_the_teleoperated_data_and_what_is_made_of_it(tmp_path):
    plan = plan_of(tmp_path)
    clumsy = replace(plan, teleoperator="teleoperator:clumsy")
    for module in (fmb_insertion, bottleneck):
        here, there = module.contest(plan), module.contest(clumsy)
        assert here.arm("octo", "teleoperator").evaluations[0].folder != (
            there.arm("octo", "teleoperator").evaluations[0].folder
        )
    rl = [fmb_insertion.contest(one).arm("octo", "rl").evaluations[0].folder for one in (plan, clumsy)]
    assert rl[0] == rl[1]


@pytest.mark.parametrize(
    ("rates", "verdicts"),
    [
        ((0.9, 0.3), {Verdict.AGREES}),
        ((0.3, 0.9), {Verdict.DIFFERS}),
        ((0.6, 0.6), {Verdict.INCONCLUSIVE, Verdict.DIFFERS}),
    ],
)
def test_planted_outcomes_are_told_as_they_are(tmp_path, rates, verdicts):
    plan = plan_of(tmp_path)
    for module in (fmb_insertion, bottleneck, import_module("pipelines.paper.pick_place")):
        made = module.contest(plan)
        arms = {made.arm("octo", arm): rate for arm, rate in zip(("rl", "teleoperator"), rates, strict=True)}
        plant(arms | {made.reference(name): 1.0 for name in made.references}, scenes=60)
        found = module.findings(plan)
        assert {outcome.claim for outcome in found.outcomes} <= set(module.CLAIMS)
        assert {outcome.verdict for outcome in found.outcomes} <= verdicts
        for outcome in found.outcomes:
            assert outcome.here.low <= rates[0] - rates[1] + 0.25 and outcome.here.high >= rates[0] - rates[1] - 0.25
        assert all(len(row) == len(table.columns) for table in found.tables for row in table.rows)
        json.dumps([asdict(part) for part in (*found.tables, *found.figures)])  # as the results are kept


def test_the_ablation_tells_actions_from_states(tmp_path):
    plan = plan_of(tmp_path)
    made = ablation.contest(plan, 15)
    plant(
        {made.arm("octo", source): rate for source, rate in {"teleoperator": 0.2, "relabelled": 0.7, "rl": 0.7}.items()}
    )
    found = {outcome.claim.key: outcome for outcome in ablation.findings(plan).outcomes}
    assert found["octo_relabelled"].verdict is Verdict.AGREES
    assert found["octo_rl"].verdict is not Verdict.AGREES
    assert 0.3 < found["octo_relabelled"].here.value < 0.7


def test_generalists_are_set_against_all_their_teachers(tmp_path):
    plan = plan_of(tmp_path)
    made = generalisation.contest(plan)
    plant({made.arm("octo", "rl"): 0.6, made.reference("specialist"): 0.2})
    found = generalisation.findings(plan)
    assert [outcome.verdict for outcome in found.outcomes] == [Verdict.AGREES] * 2
    full = generalisation.contest(plan_of(tmp_path, quick=False)).reference("specialist")
    assert len(full.evaluations) == 9  # three connectors, three seeds


def test_all_kinds_of_data_beyond_the_paper_hold_as_many_episodes(tmp_path):
    for plan in (plan_of(tmp_path), plan_of(tmp_path, quick=False)):
        sizes = {kind: [_episodes(cell) for cell in beyond.data(plan, "octo", kind, 0)] for kind in beyond.LABELS}
        assert {kind: sum(found) for kind, found in sizes.items()} == dict.fromkeys(
            beyond.LABELS, plan.episodes * len(plan.seen)
        )
        for kind in beyond.LABELS:
            training = beyond.contest(plan, "octo").arm("octo", kind).evaluations[0].needs[0]
            assert training.args.config.failures == (kind in beyond.CORRECTED)
            assert (
                training.args.config.steps
                == beyond.contest(plan, "octo").arm("octo", "rl").evaluations[0].needs[0].args.config.steps
            )


def _episodes(cell: Cell) -> int:
    """How many successes, or episodes with corrected actions, a data set will hold."""
    args = cell.args
    if hasattr(args, "episodes") and isinstance(args.episodes, int):
        return args.episodes
    return args.count if getattr(args, "count", None) else _episodes(cell.needs[0])


def test_beyond_names_the_kinds_that_beat_plain_roll_outs(tmp_path):
    plan = plan_of(tmp_path)
    made = beyond.contest(plan, "octo")
    rates = {"rl": 0.4, "likeliest": 0.4, "fastest": 0.9, "diverse": 0.4, "recoveries": 0.1, "dagger": 0.8}
    plant({made.arm("octo", kind): rate for kind, rate in rates.items()})
    found = {outcome.claim.key: outcome.verdict for outcome in beyond.findings(plan).outcomes}
    assert found["octo_fastest"] is found["octo_dagger"] is Verdict.AGREES
    assert found["octo_recoveries"] is Verdict.DIFFERS and found["octo_diverse"] is not Verdict.AGREES


def data_set(folder, move, count=12):
    """Episodes beside the hole whose actions are all `move` towards the axis, in all quadrants, with a little noise."""
    height = -(load_task("fmb_insertion").sim.geometry.entry + action_distribution.OVER)
    writer = DatasetWriter(folder)
    for index in range(count):
        generator = np.random.default_rng(index)
        episode = make_episode(index, 8)
        sign = generator.choice([-1, 1], size=2)
        pose = np.tile(geometry.IDENTITY.astype(np.float32), (8, 1))
        pose[:, :3] = [*(0.005 * sign), height]
        twist = np.zeros((8, 7), np.float32)
        twist[:, :2] = -move * sign + generator.normal(0, 0.05, (8, 2))
        metadata = replace(episode.metadata, success=True, failure_reason="")
        parts = {"metadata": metadata, "privileged": {"tcp_in_target": pose}, "action_normalized": twist}
        writer.write(index, replace(episode, **parts))


def test_actions_beside_the_hole_are_told_apart(tmp_path):
    plan = plan_of(tmp_path)
    for arm, move in (("rl", 0.8), ("teleoperator", 0.02)):
        for cell in action_distribution.data(plan, arm):
            data_set(cell.folder, move)
    found = action_distribution.findings(plan)
    (outcome,) = found.outcomes
    assert outcome.verdict is Verdict.AGREES and 0.7 < outcome.here.value < 0.85
    assert "p = 0.001" in found.notes[0]
    assert {series.arm for series in found.figures[0].series} == {"rl", "teleoperator"}


def test_where_a_claim_turns_is_said(tmp_path):
    plan = plan_of(tmp_path)
    for skill, one in operator.plans(plan).items():
        made = fmb_insertion.contest(one)
        arms = {made.arm("octo", "teleoperator"): {"clumsy": 0.1, "skilled": 0.8}[skill]}
        if skill == "clumsy":  # what is of the specialist is shared
            arms |= {made.arm("octo", "rl"): 0.8, made.reference("specialist"): 1.0}
        plant(arms)
        for arm, move in (("rl", 0.8), ("teleoperator", 0.02)):
            for cell in action_distribution.data(one, arm):
                if not cell.folder.exists():
                    data_set(cell.folder, move)
    found = operator.findings(plan)
    assert {outcome.claim for outcome in found.outcomes} <= set(operator.CLAIMS)
    verdicts = {outcome.claim.key: outcome.verdict for outcome in found.outcomes}
    assert verdicts["action_distribution_progress"] is Verdict.AGREES  # against both
    assert verdicts["fmb_insertion_octo_seen"] is not Verdict.AGREES  # against the clumsy one alone
    rows = {str(row[0]): row for row in found.tables[0].rows}
    (insertion,) = [row for text, row in rows.items() if "FMB insertion" in text]
    (actions,) = [row for text, row in rows.items() if "Actions" in text]
    assert insertion[-1] == "skilled" and actions[-1] == "no operator"
    assert all(isinstance(entry, Quantity) for entry in insertion[1:-1])


class Tiny(Plan):
    """Everything so small that it takes a minute: what comes out means nothing."""

    episodes = scenes = 2

    def pick(self, full, quick):
        return {15: 2, (15,): (2,)}.get(quick, quick) if isinstance(quick, int | tuple) else quick

    def specialist(self, task, seed, recipe_name=""):
        args = super().specialist(task, seed, recipe_name).args
        config = replace(args.config, least_updates=5_000, confirm_episodes=20, confirm_per_round=10)
        return make_cell(self.root, "specialist", replace(args, out=HERE, config=config))

    def generalist(self, name, data, seed, updates=None, points=4):
        return super().generalist(name, data, seed, 8, points)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_they_run_from_specialists_to_findings(tmp_path):
    plan = Tiny(root=tmp_path, quick=True, seeds=(0,), generalists=("octo",))
    for module in (bottleneck, ablation):
        run_grid(plan.root, module.cells(plan), lanes=2)
        found = module.findings(plan)
        assert {outcome.claim for outcome in found.outcomes} < set(module.CLAIMS)
    (edited,) = (path.parent for path in tmp_path.glob("edit/*/lineage.json"))
    lineage = read_lineage(edited)
    assert lineage is not None and lineage.parameters["actions"]["kind"] == "specialist"
