"""`Contest`: generalists on several kinds of data, and whoever else, on the same locked scenes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.generalists import Generalist
from pipelines.paper.cell import Cell
from pipelines.paper.findings import Claim, Entry, Figure, Outcome, Quantity, Series, Table
from pipelines.paper.measure import difference, evaluations, still_rises, success
from pipelines.paper.plan import Plan
from rldg.evaluation.compare import Evaluation
from rldg.evaluation.figures import ARM_COLORS
from rldg.evaluation.findings import GENERALISTS

Data = Callable[[int], Sequence[Cell]]  # seed -> the data sets that a generalist of that seed is trained on
Policies = Callable[[int], Sequence[Cell]]  # seed -> policies that are tried beside the generalists


@dataclass(frozen=True)
class Arm:
    """One policy per seed, tried on the same scenes. `curves` tell whether its training was long enough, if known."""

    name: str
    evaluations: tuple[Cell, ...]
    curves: tuple[Cell, ...] = ()

    def on(self, tasks: Sequence[str]) -> list[Evaluation]:
        """What came out on these tasks."""
        return evaluations(self.evaluations, tasks)

    @property
    def rises(self) -> bool:
        """Whether one of its trainings ended too early."""
        return any(map(still_rises, self.curves))


@dataclass(frozen=True)
class Contest:
    """Who is compared, and on what.

    Args:
        plan: sizes and seeds.
        data: arm -> what its generalists are trained on. Arms are named as in figures: "rl", "teleoperator".
        groups: name -> tasks that are counted together; success over training is that on the first task of the first,
            of the first seed, in simulation. A quick run, whose trainings are too short anyway, does without.
        references: arm -> policies that are no generalists, such as the specialists.
        change: made to the training of an arm's generalists before it is run.
        generalists: which; by default the plan's.
        updates: of a generalist; by default the plan's.
        scenes: per task, policy and seed; by default the plan's.
    """

    plan: Plan
    data: Mapping[str, Data]
    groups: Mapping[str, tuple[str, ...]]
    references: Mapping[str, Policies] = field(default_factory=dict)
    change: Callable[[str, Cell], Cell] = lambda arm, training: training
    generalists: tuple[Generalist, ...] = ()
    updates: int | None = None
    scenes: int | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks, in the order of their groups."""
        return tuple(dict.fromkeys(task for group in self.groups.values() for task in group))

    def arm(self, generalist: Generalist, name: str) -> Arm:
        """The generalists that are trained on one kind of data."""
        plan = self.plan
        trained = [
            self.change(name, plan.generalist(generalist, self.data[name](seed), seed, self.updates))
            for seed in plan.seeds
        ]
        tried = tuple(plan.evaluation(one, self.tasks, self.scenes) for one in trained)
        watched = plan.simulated and not plan.quick
        return Arm(name, tried, (plan.curve(trained[0], self.tasks[0]),) if watched else ())

    def reference(self, name: str) -> Arm:
        """Policies that are no generalists."""
        policies = [policy for seed in self.plan.seeds for policy in self.references[name](seed)]
        return Arm(name, tuple(self.plan.evaluation(policy, self.tasks, self.scenes) for policy in policies))

    def cells(self) -> list[Cell]:
        """All that has to be run."""
        arms = [self.arm(generalist, name) for generalist in self._generalists for name in self.data]
        arms += map(self.reference, self.references)
        return [cell for arm in arms for cell in (*arm.evaluations, *arm.curves)]

    def outcome(self, claim: Claim, better: Arm, worse: Arm, group: str) -> Outcome:
        """The claim that one arm succeeds more often than another on a group of tasks, as it came out."""
        tasks = self.groups[group]
        rising = tuple(arm.name for arm in (better, worse) if arm.rises)
        return Outcome(claim, difference(better.on(tasks), worse.on(tasks)), rising)

    def against(self, claim: Claim, generalist: Generalist, better: str, worse: str, group: str) -> Outcome:
        """The same of two kinds of data."""
        return self.outcome(claim, self.arm(generalist, better), self.arm(generalist, worse), group)

    def rates(self) -> dict[tuple[str, str], dict[str, Quantity]]:
        """(generalist, arm) -> by group the rate of success; references stand under the generalist ""."""
        arms = {(GENERALISTS[g], name): self.arm(g, name) for g in self._generalists for name in self.data}
        arms |= {("", name): self.reference(name) for name in self.references}
        return {
            who: {group: success(arm.on(tasks)) for group, tasks in self.groups.items()} for who, arm in arms.items()
        }

    @property
    def _generalists(self) -> tuple[Generalist, ...]:
        return self.generalists or self.plan.generalists

    def table(self, title: str, labels: Mapping[str, str]) -> Table:
        """Rates of success, a row per policy, a column per group."""
        rows: list[tuple[Entry, ...]] = [
            (generalist or None, labels[arm], *by_group.values())
            for (generalist, arm), by_group in self.rates().items()
        ]
        return Table(title, ("generalist", "data or policy", *self.groups), rows)

    def figure(self, key: str, title: str, labels: Mapping[str, str]) -> Figure:
        """The same as points with intervals, a place on the x axis per group."""
        places = list(range(len(self.groups)))
        series = [
            Series(
                f"{generalist}, {labels[arm]}" if generalist else labels[arm],
                places,
                [found.value for found in by_group.values()],
                [found.low for found in by_group.values()],
                [found.high for found in by_group.values()],
                arm if arm in ARM_COLORS else "",
            )
            for (generalist, arm), by_group in self.rates().items()
        ]
        return Figure(key, title, "", "success", series, "points", tuple(self.groups), share=True)
