"""`PolicyServer`: a policy behind a websocket, for clients that speak as openpi's does."""

import logging
import threading
import time
from contextlib import closing, suppress
from http import HTTPStatus
from typing import Self

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from rldg.env.types import ActionContract
from rldg.errors import RldgError
from rldg.listening import address, listener, same
from rldg.policies.base import Policy
from rldg.policies.protocol import describe
from rldg.policies.wire import MAX_BYTES, MessageError, pack, unpack
from rldg.serving.conversation import Conversation, agree
from rldg.tasks.task import Task

HEALTH = "/healthz"
OPEN_SECONDS = 10.0  # for a client's handshake
PING_SECONDS = 20.0  # between questions whether a client is still there, and until it counts as gone
CLOSE_SECONDS = 2.0  # for a client to agree that a connection ends
BUSY = 1013  # websocket's "try again later"
SENTENCE = 500  # characters of a refusal, at most

logger = logging.getLogger(__name__)
quiet = logging.getLogger(f"{__name__}.handshakes")  # whoever scans ports is nobody's business
quiet.setLevel(logging.CRITICAL)


class PolicyServer:
    """Every client has a thread and a session of the policy, so what one says or breaks is nothing to another.

    It answers once `serve` runs. Browsers are refused: any page could ask them to connect.

    Args:
        policy: answers; it is warmed up before anybody can connect.
        task: what clients do that name no task.
        host: where to listen.
        port: 0 for a free one.
        token: what clients have to know, as `Authorization: Api-Key TOKEN`; "" for nothing.
        clients: how many are served at a time.

    Raises:
        UsageError: nothing can listen there, or the policy acts in one episode at a time.
        ContractError: the policy acts by another contract than the task's.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        task: Task | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = "",
        clients: int = 16,
    ) -> None:
        if task is not None:
            agree(policy, ActionContract.of(task))
        policy.session().close()  # one that has none says so now
        policy.warm_up(clients)
        self._policy, self._task, self._token = policy, task, token
        self._hello = pack(describe(policy.metadata, task))
        self._clients, self._seats = clients, threading.Semaphore(clients)
        place = listener(host, port)
        self.url = f"ws://{address(host, place.getsockname()[1])}"
        self._server = serve(
            self._converse,
            sock=place,
            process_request=self._refusal,
            origins=[None],
            compression=None,
            open_timeout=OPEN_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=CLOSE_SECONDS,
            max_size=MAX_BYTES,
            max_queue=2,
            logger=quiet,
        )

    def serve(self) -> None:
        """Answers until `close`, or until it is interrupted."""
        self._server.serve_forever()

    def close(self) -> None:
        """Says goodbye to every client and stops listening."""
        self._server.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refusal(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a request that is not the beginning of a conversation; None for one that is."""
        if request.path == HEALTH:
            return connection.respond(HTTPStatus.OK, "OK\n")
        scheme, _, offered = request.headers.get("Authorization", "").partition(" ")
        if self._token and not (scheme in ("Api-Key", "Bearer") and same(offered, self._token)):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "Send the header 'Authorization: Api-Key TOKEN'.\n")
        return None

    def _converse(self, connection: ServerConnection) -> None:
        if not self._seats.acquire(blocking=False):
            connection.close(BUSY, f"The server has its {self._clients} clients already.")
            return
        try:
            with suppress(ConnectionClosed):
                connection.send(self._hello)
                self._answer(connection)
        finally:
            self._seats.release()

    def _answer(self, connection: ServerConnection) -> None:
        with closing(self._policy.session()) as session:
            conversation, before = Conversation(session, self._task), None
            for received in connection:
                began = time.perf_counter()
                connection.send(_reply(conversation, received, before))
                before = 1000 * (time.perf_counter() - began)


def _reply(conversation: Conversation, received: str | bytes, before: float | None) -> str | bytes:
    """What is sent back; a refusal is text. `before` is what the last answer took until it was sent [ms]."""
    try:
        if isinstance(received, str):
            raise MessageError("Messages are binary frames of msgpack; got a text frame.")
        answer = conversation.answer(unpack(received))
        if before is not None and "server_timing" in answer:
            answer["server_timing"]["prev_total_ms"] = before
        return pack(answer)
    except RldgError as error:
        return str(error)[:SENTENCE]
    except Exception as error:
        logger.exception("The policy failed.")
        return f"The policy failed: {type(error).__name__}: {error}"[:SENTENCE]
