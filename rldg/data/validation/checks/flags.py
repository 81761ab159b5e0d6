"""Whether the steps' flags, rewards and the verdict tell one story."""

from collections.abc import Iterator

import numpy as np

from rldg.data.validation.finding import Finding
from rldg.data.validation.subject import Subject

TRUNCATED = ("time_out", "jam")  # the horizon passed: not terminal for the value backup


def check_boundaries(subject: Subject) -> Iterator[Finding]:
    """RLDS: `is_first` on the first step alone, `is_last` on the last alone, `is_terminal` at most on the last."""
    steps = np.arange(len(subject))
    last = len(subject) - 1
    rules = {"is_first": (steps == 0, "the first step alone"), "is_last": (steps == last, "the last step alone")}
    for name, (expected, where) in rules.items():
        wrong = np.flatnonzero(subject.steps[name].astype(bool) != expected)
        if wrong.size:
            what = f"{name} is {bool(subject.steps[name][wrong[0]])} here"
            yield Finding(name, what, f"true on {where}", subject.at(wrong[0]))
    early = np.flatnonzero(subject.steps["is_terminal"][:-1])
    if early.size:
        yield Finding(
            "is_terminal",
            "the episode goes on after a terminal step",
            "terminal at most on the last step",
            subject.at(early[0]),
        )


def check_outcome(subject: Subject) -> Iterator[Finding]:
    """Reward 1 on the step that succeeds and nowhere else; discount 0 where terminal; metadata that say the same."""
    reward, discount, terminal = (subject.steps[name] for name in ("reward", "discount", "is_terminal"))
    success, reason = bool(subject.metadata["success"]), subject.metadata["failure_reason"]
    expected = np.zeros(len(subject))
    expected[-1] = success
    wrong = np.flatnonzero(reward != expected)
    if wrong.size:
        what = f"the reward is {reward[wrong[0]]:g} in an episode labelled a {'success' if success else 'failure'}"
        yield Finding("reward", what, "1 on the last step of a success, else 0", subject.at(wrong[0]))
    wrong = np.flatnonzero(discount != 1.0 - terminal.astype(np.float32))
    if wrong.size:
        what = f"the discount is {discount[wrong[0]]:g} where is_terminal is {bool(terminal[wrong[0]])}"
        yield Finding("discount", what, "0 on a terminal step, else 1", subject.at(wrong[0]))
    if success and reason:
        yield Finding(
            "failure_reason", f"a success with the failure reason '{reason}'", "an empty reason", subject.place
        )
    if not success and not reason:
        yield Finding("failure_reason", "a failure without a reason", "time_out, jam, force_limit, ...", subject.place)
    ended = bool(terminal[-1])
    if ended == (reason in TRUNCATED) and (success or reason):
        what = f"the last step is {'' if ended else 'not '}terminal in an episode that ended by {reason or 'success'}"
        yield Finding("is_terminal", what, "terminal unless time ran out", subject.at(len(subject) - 1))
