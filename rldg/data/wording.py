"""What the numbers of a data set mean, in words."""

import json
from collections.abc import Iterable

from rldg.env.types import ActionContract
from rldg.errors import DatasetError

OUR_ACTIONS = ("action", "base_action")  # the columns that an action contract speaks of
TWIST = ("x [m]", "y [m]", "z [m]", "rotation x [rad]", "rotation y [rad]", "rotation z [rad]", "gripper")
FRAMES = {"end_effector": "end-effector frame"}
GRIPPERS = {"fixed": ", which never moves in this task", "binary": " and nothing between"}


def action_in_words(contracts: Iterable[str], column: str) -> str:
    """Says what the actions in `column` are, from the `action_contract` texts of the episodes' metadata.

    Raises `DatasetError` for a text that is no action contract.
    """
    known = sorted(filter(None, contracts))
    if not known:
        return "The data set does not say in what units and in which frame its actions are."
    if column not in OUR_ACTIONS:
        return "The data set gives the meaning of the column `action` only."
    if len(known) > 1:
        return "The episodes' actions mean different things: " + " ".join(_sentence(text, column) for text in known)
    return _sentence(known[0], column)


def control_rates(contracts: Iterable[str]) -> list[str]:
    """Control steps per second of the episodes, each rate once."""
    return [f"{rate:g}" for rate in sorted({_contract(text).rate for text in contracts if text})]


def _sentence(text: str, column: str) -> str:
    contract = _contract(text)
    frame = "robot's base frame" if column == "base_action" else FRAMES.get(contract.frame, contract.frame)
    return (
        f"Seven numbers per control step, at {contract.rate:g} steps a second: translation x y z [m], at most "
        f"{contract.translation_scale:g} along an axis; rotation vector [rad], at most {contract.rotation_scale:g} "
        f"about one, both in the {frame}; gripper, 0 closed to 1 open{GRIPPERS.get(contract.gripper, '')}."
    )


def _contract(text: str) -> ActionContract:
    try:
        return ActionContract(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise DatasetError(f"'{text[:80]}' is no action contract: {error}.") from None
