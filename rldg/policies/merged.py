"""`Merged`: calls that several threads make at the same time are answered together."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Waiting(Generic[Ask, Answer]):
    """One call."""

    ask: Ask
    answer: Future[Answer] = field(default_factory=Future)
    called: threading.Event = field(default_factory=threading.Event)  # it is answered, or has to answer


class Merged(Generic[Ask, Answer]):
    """A function of one ask, made of one of many: whoever comes first answers for all who wait.

    Nobody waits for company: what is asked while an answer is in the making is answered together next, by the one who
    has waited longest; the others go their ways as soon as they are answered. A single caller calls straight through.

    Args:
        answer: gives the answers to several asks, in their order.
        most: asks that are answered together, at most.
    """

    def __init__(self, answer: Callable[[Sequence[Ask]], Sequence[Answer]], most: int = 8) -> None:
        self.most = most
        self._answer = answer
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting[Ask, Answer]] = deque()
        self._answering = False  # somebody is, or has been called to

    def __call__(self, ask: Ask) -> Answer:
        """The answer to `ask`; raises what `answer` raises when it is asked this alone."""
        mine: _Waiting[Ask, Answer] = _Waiting(ask)
        with self._lock:
            self._waiting.append(mine)
            alone, self._answering = not self._answering, True
        if not alone:
            mine.called.wait()
        if not mine.answer.done():
            self._answer_next()
        return mine.answer.result()

    def _answer_next(self) -> None:
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(self.most, len(self._waiting)))]
        try:
            self._serve(batch)
        finally:
            with self._lock:
                self._answering = bool(self._waiting)
                if self._answering:
                    self._waiting[0].called.set()

    def _serve(self, batch: list[_Waiting[Ask, Answer]]) -> None:
        try:
            answers = self._answer([one.ask for one in batch])
        except BaseException as error:
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
                batch[0].called.set()
            else:  # it may be the fault of one of them
                for one in batch:
                    self._serve([one])
            return
        for one, answer in zip(batch, answers, strict=True):
            one.answer.set_result(answer)
            one.called.set()
