"""Before an episode somebody puts things back: what was inserted, placed or dropped."""

import logging
import time
from collections.abc import Callable

from rldg.errors import RldgError
from rldg.robots.franka_client import FrankaClient
from rldg.robots.terminal_key import TerminalKey
from rldg.tasks.station import Station

SETTLE_SECONDS = 0.3  # for things to come to rest at a simulated station, and for its cameras to see them
OPERATOR_SECONDS = 900.0  # that an operator has
POLL_SECONDS = 0.05

logger = logging.getLogger(__name__)


def rearranging(station: Station, client: FrankaClient) -> Callable[[int], None]:
    """What is done before each episode at `station`, the arm being at its reset pose: called with a number that fixes
    the scene where it can be chosen.

    Raises:
        RldgError: an operator is to do it, and this process has no terminal; when called: the operator did not say
            in time that things are in their places.
    """
    match station.rearranged_by:
        case "operator":
            key = TerminalKey()
            return lambda _: _ask(key)
        case "server":
            return lambda scene: _new_scene(station, client, scene)
        case _:
            return lambda _: None


def _ask(key: TerminalKey) -> None:
    logger.warning("Put things back in their places, step away from the arm, then press space.")
    deadline = time.monotonic() + OPERATOR_SECONDS
    for wanted in (False, True):  # one that is held from before has to be let go
        while key.held() != wanted:
            if time.monotonic() > deadline:
                raise RldgError(f"Nobody pressed space within {OPERATOR_SECONDS:g} s; run the same command to go on.")
            time.sleep(POLL_SECONDS)


def _new_scene(station: Station, client: FrankaClient, scene: int) -> None:
    client.new_scene(scene)
    if station.speed:
        time.sleep(SETTLE_SECONDS / station.speed)
