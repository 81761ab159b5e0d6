"""An operator's say: a switch that a person holds, and the judge that believes it."""

from typing import Protocol

from rldg.env.types import Observation
from rldg.robots.base import Contact


class Switch(Protocol):
    """What an operator holds to say "this is a success": a key, a SpaceMouse's button, a button on a page."""

    def held(self) -> bool:
        """Whether it is held now. Does not wait."""
        ...

    def close(self) -> None:
        """Lets go of the device."""
        ...


class OperatorJudge:
    """Success on the step at which the operator holds the switch. One that is held from before has to be let go."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    def reset(self) -> None:
        """Begins an episode."""
        self._armed = False

    def __call__(self, observation: Observation, contact: Contact | None) -> bool:
        """Whether the operator says so now."""
        held = self._switch.held()
        self._armed = self._armed or not held
        return held and self._armed
