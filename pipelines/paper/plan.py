"""`Plan`: the sizes of a run of the experiments, and the cells that they share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pipelines import curve
from pipelines.generalists import Generalist, fine_tuning
from pipelines.paper.cell import HERE, Cell, known_task, make_cell
from rldg.cli import collect, evaluate, train
from rldg.evaluation.paper import SEEN, UNSEEN
from rldg.specialists.recipes import recipe
from rldg.stage import file_hash
from rldg.tasks import load_station

Size = TypeVar("Size")
TRAINING = {"octo": (2000, 0.1), "openvla": (500, 0.25)}  # updates of a generalist, seconds per update on one core
TRIAL_SECONDS = {"octo": 0.55, "openvla": 0.9, "other": 0.06}  # per locked scene, on one core, unseen ones included


@dataclass(frozen=True)
class Plan:
    """How large everything is, where it goes, and where it is tried. Two plans share the cells that they have alike."""

    root: Path = Path("runs/paper")
    quick: bool = False
    seeds: tuple[int, ...] = (0, 1, 2)  # of everything: specialists, data, generalists
    generalists: tuple[Generalist, ...] = ("octo", "openvla")
    station: str = "sim"  # where everything acts: a station's name, or the path of its YAML
    teleoperator: str = "teleoperator"  # who teleoperates: the simulated operator, or a person's device

    def pick(self, full: Size, quick: Size) -> Size:
        """The size of a full run, or of a quick one."""
        return quick if self.quick else full

    @cached_property
    def simulated(self) -> bool:
        """Whether no real robot is at work."""
        return load_station(self.station).backend == "mujoco"

    @property
    def seen(self) -> tuple[str, ...]:
        """The connectors that are trained on; a quick run has the first."""
        return self.pick(SEEN, SEEN[:1])

    @property
    def unseen(self) -> tuple[str, ...]:
        """The held-out connectors; a quick run has the first."""
        return self.pick(UNSEEN, UNSEEN[:1])

    @property
    def episodes(self) -> int:
        """Successful episodes per seen connector, in each of the two kinds of data."""
        return 15

    @property
    def scenes(self) -> int:
        """Locked scenes per connector, policy and seed."""
        return self.pick(50, 20)

    def specialist(self, task: str, seed: int, recipe_name: str = "") -> Cell:
        """A specialist, trained by the recipe of this name; by default by the one that suits the task."""
        config = recipe(known_task(task), name=recipe_name)
        return self.cell("specialist", train.Args(task, HERE, seed, station=self.station, config=config), seconds=37)

    def collection(self, task: str, actor: Cell | str, episodes: int, seed: int) -> Cell:
        """A data set with so many successes of a specialist, which samples its actions as in the paper, or a person.

        Of one actor and seed, a smaller set is the beginning of a larger one.
        """
        name, needs = _policy(actor)
        args = collect.Args(
            task,
            name,
            episodes,
            HERE,
            station=self.station,
            count_successes=True,
            stochastic=bool(needs),
            seed=seed,
        )
        return self.cell("collection", args, needs, seconds=3 + 0.1 * episodes)

    def sets(self, arm: str, tasks: Sequence[str], episodes: int, seed: int) -> tuple[Cell, ...]:
        """A data set per task: of its specialist ("rl"), or of whoever teleoperates (any other name)."""
        return tuple(
            self.collection(task, self.specialist(task, seed) if arm == "rl" else self.teleoperator, episodes, seed)
            for task in tasks
        )

    def generalist(
        self, name: Generalist, data: Sequence[Cell], seed: int, updates: int | None = None, points: int = 4
    ) -> Cell:
        """A generalist, trained on data sets; `points` checkpoints are kept, evenly spread, for `curve`."""
        usual, seconds = TRAINING[name]
        updates = updates or self.pick(usual, usual // 4)
        args = fine_tuning(name, tuple(one.folder for one in data), HERE, seed, updates, points)
        return self.cell(name, args, tuple(data), seconds=20 + seconds * updates)

    def evaluation(self, policy: Cell | str, tasks: Sequence[str], scenes: int | None = None) -> Cell:
        """A policy on the locked scenes of one or several tasks; 'expert' and 'teleoperator' are policies as well."""
        name, needs = _policy(policy)
        scenes = scenes or self.scenes
        args = evaluate.Args(tuple(tasks), name, HERE, station=self.station, episodes=scenes, workers=1, videos=0)
        kind = needs[0].kind if needs and needs[0].kind in TRIAL_SECONDS else "other"
        seconds = 8 + TRIAL_SECONDS[kind] * scenes * len(tasks)
        return self.cell("evaluation" if kind == "other" else f"evaluation_{kind}", args, needs, seconds)

    def curve(self, generalist: Cell, task: str, scenes: int | None = None) -> Cell:
        """The checkpoints of a generalist on the locked scenes of a task in simulation: success over training."""
        scenes = scenes or self.pick(50, 20)
        args = curve.Args(task, generalist.folder, HERE, scenes)
        return self.cell("curve", args, (generalist,), 15 + 4 * TRIAL_SECONDS[generalist.kind] * scenes)

    def cell(self, kind: str, args: Any, needs: tuple[Cell, ...] = (), seconds: float = 60.0) -> Cell:
        """Any other cell, by `make_cell`."""
        return make_cell(self.root, kind, args, needs, seconds, self._inputs)

    @cached_property
    def _inputs(self) -> dict[str, str]:
        """Content of the station's file, if it has one."""
        return {"station": file_hash(Path(self.station))} if self.station.endswith((".yaml", ".yml")) else {}


def _policy(actor: Cell | str) -> tuple[str, tuple[Cell, ...]]:
    """What `--policy` says, and what has to be there before."""
    return (str(actor.folder), (actor,)) if isinstance(actor, Cell) else (actor, ())
