"""What a policy server and its clients say to each other, beside the bytes (`rldg.policies.wire`).

The server's first message is its metadata. Then every message of the client is answered by one: an observation by
`actions`, the beginning of an episode by `reset`. A refusal is a text frame of one sentence. docs/serving.md.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from rldg.env.types import STATE_PARTS, STATE_SIZE, ActionContract, Observation
from rldg.policies.base import PolicyMetadata
from rldg.policies.wire import MessageError
from rldg.tasks.task import Task

PROTOCOL = 1
IMAGE = "observation/image_"  # + camera: the data sets' name of a picture
GROUPS = ("state", "images", "privileged")
MAX_VECTOR = 64  # numbers of a privileged part


def describe(metadata: PolicyMetadata, task: Task | None = None) -> dict[str, Any]:
    """The first message of a server: what it serves, and which task it takes where a client names none."""
    contract = metadata.action_contract
    found = asdict(metadata) | {"protocol": PROTOCOL, "rate": contract.rate if contract else None}
    return found | ({"task": task.name, "instruction": task.instruction} if task else {})


def described(message: Mapping[str, Any]) -> PolicyMetadata | None:
    """What `describe` said; None if another kind of server speaks.

    Raises `MessageError` if it is of another version of the protocol.
    """
    if "protocol" not in message:
        return None
    if message["protocol"] != PROTOCOL:
        raise MessageError(f"The server speaks version {message['protocol']!r:.20} of the protocol, not {PROTOCOL}.")
    return _validated(_METADATA, message, "What the server says of its policy")


@dataclass(frozen=True)
class Reset:
    """The beginning of an episode, as a client asks for it; None: as the server was told."""

    task: Task | None = None
    instruction: str | None = None
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    action_contract: ActionContract | None = None  # by which the client will carry actions out

    def message(self) -> dict[str, Any]:
        """As it is sent."""
        return {
            "reset": {
                "task": self.task and self.task.model_dump(mode="json"),
                "instruction": self.instruction,
                "seed": self.seed,
                "action_contract": self.action_contract and asdict(self.action_contract),
            }
        }


def reset_of(message: Mapping[str, Any]) -> Reset | None:
    """The beginning of an episode that a message asks for, by `reset`; None if it asks for none.

    Raises `MessageError` if it says something else there.
    """
    asked = message.get("reset", False)
    if asked is False:
        return None
    given, valid = {} if asked is True else asked, [field.name for field in fields(Reset)]
    if not isinstance(given, dict) or not given.keys() <= set(valid):
        raise MessageError(f"'reset' is true, or a map of {', '.join(valid)}; got {given!r:.60}.")
    return _validated(_RESET, given, "'reset'")


def prompt_of(message: Mapping[str, Any]) -> str | None:
    """What a message tells the policy to do; None if it says nothing. Raises `MessageError` if it is no text."""
    text = message.get("prompt")
    if text is not None and not isinstance(text, str):
        raise MessageError(f"'prompt' is text; got {type(text).__name__}.")
    return text


def observation_of(message: Mapping[str, Any]) -> Observation:
    """The observation in a message: its groups as they are (`state`, `images`, `privileged`), or by the data sets' flat
    names: `observation/image_CAMERA`, `observation/state` (20), `observation/PART`. Empty if it holds none.

    Raises `MessageError` for anything that is none of these, or has another type or size.
    """
    found: Observation = {}
    for key, value in message.items():
        if key in GROUPS:
            if not isinstance(value, dict):
                raise MessageError(f"'{key}' is a map of arrays; got {type(value).__name__}.")
            for name, part in value.items():
                found.setdefault(key, {})[str(name)] = (
                    _image(name, part) if key == "images" else _vector(key, name, part)
                )
        elif key.startswith(IMAGE):
            name = key.removeprefix(IMAGE)
            found.setdefault("images", {})[name] = _image(name, value)
        elif key == "observation/state":
            whole = _finite("the state", value, STATE_SIZE)
            ends = np.cumsum(list(STATE_PARTS.values()))[:-1]
            found.setdefault("state", {}).update(zip(STATE_PARTS, np.split(whole, ends), strict=True))
        elif key.startswith("observation/"):
            name = key.removeprefix("observation/")
            group = "state" if name in STATE_PARTS else "privileged"
            found.setdefault(group, {})[name] = _vector(group, name, value)
        elif key not in ("reset", "prompt"):
            raise MessageError(f"'{key:.40}' is unknown; an observation has {IMAGE}CAMERA, observation/state, prompt.")
    return found


def _vector(group: str, name: Any, value: Any) -> np.ndarray:
    if group == "state" and name not in STATE_PARTS:
        raise MessageError(f"There is no part {name!r:.40} of the state; valid: {', '.join(STATE_PARTS)}.")
    return _finite(f"{name!r:.40}", value, STATE_PARTS[name] if group == "state" else None)


def _finite(what: str, value: Any, size: int | None) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or value.ndim != 1:
        raise MessageError(f"{what} is an array (n,) of numbers; got {_kind(value)}.")
    if len(value) != size if size else len(value) > MAX_VECTOR:
        raise MessageError(f"{what} has {size or f'up to {MAX_VECTOR}'} numbers; got {len(value)}.")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite
        array = value.astype(np.float32)
    if not np.isfinite(array).all():
        raise MessageError(f"{what} holds a number that is not finite.")
    return array


def _image(name: Any, value: Any) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3:
        raise MessageError(f"The picture {name!r:.40} is uint8 of (height, width, 3), RGB; got {_kind(value)}.")
    return value


_METADATA, _RESET = TypeAdapter(PolicyMetadata), TypeAdapter(Reset)
Kind = TypeVar("Kind")


def _validated(kind: TypeAdapter[Kind], given: Mapping[str, Any], what: str) -> Kind:
    try:
        return kind.validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise MessageError(f"{what}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None


def _kind(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
