"""`RemotePolicy`: a policy that a server answers for, ours (`rldg serve policy`) or one of openpi's."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException
from websockets.sync.client import ClientConnection, connect

from rldg.env.types import ACTION_DIMENSION, ActionContract, Observation
from rldg.errors import ContractError, RldgError, UsageError
from rldg.listening import TOKEN
from rldg.policies.base import Policy, PolicyMetadata
from rldg.policies.protocol import Reset, described
from rldg.policies.remote_keys import RemoteKeys
from rldg.policies.wire import MAX_BYTES, MessageError, pack, unpack
from rldg.tasks.task import Task

PAUSE = 0.5  # s between two attempts to connect
CLOSE = 2.0  # s for the server to agree that a connection ends
SENTENCE = 300  # characters of a server's refusal that are passed on


class RemoteFault(ConnectionError):
    """A server that cannot be reached, went away or is too slow: a fault of the set-up, not of the policy."""


class RefusedError(RldgError):
    """A server that answered with a refusal instead of actions."""


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for a server."""

    connect: float = 10.0
    answer: float = 60.0  # the first one may include compilation


class RemotePolicy(Policy):
    """Asks a server for actions at every step.

    An episode needs one unbroken connection, since the server remembers what it has seen: what breaks it is a
    `RemoteFault` of that episode, and the next episode connects anew. The token is in the environment (`RLDG_TOKEN`).

    Args:
        url: ws://HOST:PORT.
        keys: how a server that is not ours calls things.
        patience: how long to wait.

    Raises:
        RemoteFault: nobody answers there.
        UsageError: the server wants another token, is not ours and `keys` are missing, or the other way round.
    """

    def __init__(self, url: str, keys: RemoteKeys | None = None, patience: Patience | None = None) -> None:
        self._url, self._keys, self._patience = url, keys, patience or Patience()
        self._connection: ClientConnection | None = None
        self.metadata = self._meet()
        self.close()  # episodes open it again

    def reset(self, task: Task, instruction: str, seed: int = 0) -> None:
        """Begins an episode, here and there.

        Raises `ContractError` if the server serves another policy than at first, `RefusedError` if it refuses.
        """
        self._contract, self._instruction = ActionContract.of(task), instruction
        if not self._alive():
            self.close()
            if (found := self._meet()) != self.metadata:
                self.close()
                raise ContractError(f"{self._url} now serves {found}, no longer {self.metadata}.")
        if self._keys is None:
            self._ask(Reset(task, instruction, seed, self._contract).message())

    def act(self, observation: Observation) -> np.ndarray:
        """The server's actions (n, 7)."""
        if self._keys is not None:
            answer = self._ask(self._keys.message(observation, self._instruction))
            return self._keys.normalised(_actions(answer), self._contract)
        images = {camera: observation["images"][camera] for camera in self.metadata.image_sizes}
        answer = self._ask({**observation, "images": images})
        self.intervening = bool(answer.get("intervening", False))
        return _actions(answer)

    def session(self) -> "RemotePolicy":
        """The same server in an episode of its own."""
        return RemotePolicy(self._url, self._keys, self._patience)

    def close(self) -> None:
        """Ends the connection; the next episode opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(WebSocketException, OSError):
                connection.__exit__(None, None, None)

    def _meet(self) -> PolicyMetadata:
        """Connects, and tells what the server says of its policy."""
        self._connection = self._connected()
        try:
            return self._introduced(described(self._heard()))
        except BaseException:
            self.close()
            raise

    def _introduced(self, metadata: PolicyMetadata | None) -> PolicyMetadata:
        if metadata is not None and self._keys is not None:
            raise UsageError(f"{self._url} is a server of `rldg serve policy`, which needs no keys.")
        if metadata is not None:
            return metadata
        if self._keys is None:
            raise UsageError(
                f"{self._url} is no server of `rldg serve policy`; say how it calls observations: "
                f"{self._url}:keys=FILE (docs/serving.md)."
            )
        return PolicyMetadata(kind="remote", image_sizes=dict.fromkeys(self._keys.cameras, 0))

    def _alive(self) -> bool:
        """Whether there is a connection at whose other end somebody answers."""
        if self._connection is None:
            return False
        try:
            return self._connection.ping().wait(self._patience.connect) and self._connection.close_code is None
        except (WebSocketException, OSError):
            return False

    def _connected(self) -> ClientConnection:
        token, end = os.environ.get(TOKEN), time.monotonic() + self._patience.connect
        while True:
            left = max(end - time.monotonic(), PAUSE)
            try:
                return connect(
                    self._url,
                    compression=None,
                    max_size=MAX_BYTES,
                    open_timeout=left,
                    close_timeout=CLOSE,
                    additional_headers={"Authorization": f"Api-Key {token}"} if token else None,
                ).__enter__()
            except InvalidURI as error:
                raise UsageError(f"'{self._url}' is no address of a policy server: ws://HOST:PORT.") from error
            except InvalidStatus as error:
                if error.response.status_code in (401, 403):
                    what = "refuses the token in" if token else "wants a token in"
                    raise UsageError(f"{self._url} {what} the environment variable {TOKEN}.") from None
                problem: Exception = error
            except (OSError, InvalidHandshake) as error:
                problem = error
            if time.monotonic() + PAUSE > end:
                raise RemoteFault(f"No policy server answers at {self._url}: {problem}.") from None
            time.sleep(PAUSE)

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        data = pack(message)
        assert self._connection is not None, "reset() comes first"
        try:
            self._connection.send(data)
        except (WebSocketException, OSError) as error:
            self.close()
            raise RemoteFault(f"{self._url} has gone: {error}.") from None
        return self._heard()

    def _heard(self) -> dict[str, Any]:
        assert self._connection is not None
        try:
            answer = self._connection.recv(self._patience.answer)
        except TimeoutError:
            self.close()
            raise RemoteFault(f"{self._url} gave no answer within {self._patience.answer:g} s.") from None
        except (WebSocketException, OSError) as error:
            self.close()
            raise RemoteFault(f"{self._url} has gone: {error}.") from None
        if isinstance(answer, str):  # a sentence of ours, or a traceback of openpi's, whose last line says what it was
            lines = answer.strip().splitlines() or ["nothing"]
            raise RefusedError(f"{self._url} refused: {lines[-1][:SENTENCE]}")
        return unpack(answer)


def _actions(answer: dict[str, Any]) -> np.ndarray:
    actions = answer.get("actions")
    if not isinstance(actions, np.ndarray) or actions.ndim != 2 or actions.shape[1] != ACTION_DIMENSION:
        got = f"an array {actions.shape}" if isinstance(actions, np.ndarray) else type(actions).__name__
        raise MessageError(f"The server's actions must be an array (n, {ACTION_DIMENSION}); got {got}.")
    return actions.astype(np.float32, copy=False)
