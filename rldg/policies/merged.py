"""`Merged`: calls that several threads make at the same time are answered together."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")


class Merged(Generic[Ask, Answer]):
    """A function of one ask, made of one of many: whoever comes first answers for all who wait.

    Nobody waits for company: what is asked while an answer is in the making is answered together next. A single caller
    calls straight through.

    Args:
        answer: gives the answers to several asks, in their order.
        most: asks that are answered together, at most.
    """

    def __init__(self, answer: Callable[[Sequence[Ask]], Sequence[Answer]], most: int = 8) -> None:
        self.most = most
        self._answer = answer
        self._waiting: deque[tuple[Ask, Future[Answer]]] = deque()
        self._answering = threading.Lock()

    def __call__(self, ask: Ask) -> Answer:
        """The answer to `ask`; raises what `answer` raises when it is asked this alone."""
        mine: Future[Answer] = Future()
        self._waiting.append((ask, mine))
        with self._answering:
            while not mine.done():  # else somebody else has answered meanwhile
                self._serve([self._waiting.popleft() for _ in range(min(self.most, len(self._waiting)))])
        return mine.result()

    def _serve(self, batch: list[tuple[Ask, Future[Answer]]]) -> None:
        try:
            answers = self._answer([ask for ask, _ in batch])
        except BaseException as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            else:  # it may be the fault of one of them
                for one in batch:
                    self._serve([one])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)
