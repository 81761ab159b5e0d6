"""`Referee`: judges every step of an episode, and knows beside it what a simulator says of it."""

from collections.abc import Callable
from dataclasses import dataclass

from rldg.env.classifier_judge import ClassifierJudge, Look
from rldg.env.exploitation import ExploitationWatch
from rldg.env.success import Judge, make_judge, make_truth
from rldg.env.types import Observation
from rldg.robots.base import Contact
from rldg.tasks.task import Task

MakeJudge = Callable[[Look], Judge]  # a judge, made of what takes pictures


@dataclass(frozen=True)
class Verdict:
    """What was judged of a step."""

    success: bool  # by whom the task says
    truth: bool | None = None  # by the simulator, if another judges and the task says by what; else None


class Referee:
    """The judge of a task, the simulator's truth, and a watch on whether they part.

    `cameras` are those that the judge looks through. Arguments and errors are those of `rldg.env.success.make_judge`;
    `judge` makes another judge than the task asks for.
    """

    def __init__(self, task: Task, ground_truth: bool, look: Look, judge: MakeJudge | None = None) -> None:
        self._judge = judge(look) if judge else make_judge(task, ground_truth, look)
        self._truth = make_truth(task, ground_truth)
        self._watch = None
        self.cameras: tuple[str, ...] = ()
        if isinstance(self._judge, ClassifierJudge):
            self._watch = ExploitationWatch(task.name, self._judge)
            self.cameras = tuple(self._judge.classifier.resolutions)

    def reset(self) -> None:
        """Begins an episode."""
        self._judge.reset()
        if self._truth is not None:
            self._truth.reset()

    def __call__(self, observation: Observation, contact: Contact | None) -> Verdict:
        """The verdict on a step, from what was observed and the simulator's ground truth about the contact."""
        success = self._judge(observation, contact)
        truth = None if self._truth is None else self._truth(observation, contact)
        if success and self._watch is not None:
            self._watch.success(observation, truth)
        return Verdict(success, truth)
