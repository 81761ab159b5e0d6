"""`Actors`: the processes that act while the learner learns, on this machine or on others."""

from concurrent.futures import Future, ThreadPoolExecutor

from rldg.engines import Engine
from rldg.specialists.actor import Actor
from rldg.specialists.arrays import Arrays
from rldg.specialists.rounds import divide, merge
from rldg.workers import Crew


class Actors:
    """Does one round at a time; a context manager that ends the processes.

    The same for every engine: each worker gets one share of a round with the weights for it, and answers with all its
    transitions. Nothing else is in flight. A worker that dies or hangs is reported, replaced, and its share done again,
    which gives the same transitions; a share that was not answered in whole has given none.

    Args:
        actor: what each worker does.
        engine: where, and how many.
        timeout: seconds that a share may take.
    """

    def __init__(self, actor: Actor, engine: Engine, timeout: float) -> None:
        self._engine = engine
        self._crew = Crew(actor, engine, timeout, what="round")
        self._thread = ThreadPoolExecutor(1)  # listens, so that losses are seen while the learner learns
        self._answer: Future[dict[str, Arrays]] | None = None

    def __enter__(self) -> "Actors":
        return self

    def __exit__(self, *exception: object) -> None:
        self._crew.close()
        self._thread.shutdown()
        self._crew.dismiss()

    @property
    def lost(self) -> int:
        """Workers that died or were given up so far."""
        return self._crew.lost

    def begin(self, request: Arrays) -> None:
        """Starts on a round."""
        self._answer = self._thread.submit(self._collect, request)

    def finish(self) -> dict[str, Arrays]:
        """Waits for the round that was begun: what came of it, see `rldg.specialists.rounds.merge`.

        Raises `WorkerError` if workers keep dying or hanging, and what an episode raised as it is.
        """
        assert self._answer is not None
        return self._answer.result()

    def _collect(self, request: Arrays) -> dict[str, Arrays]:
        shares = divide(request, self._engine.workers)
        return merge(request, [answer for _, answer in self._crew.outcomes(iter(shares))])
