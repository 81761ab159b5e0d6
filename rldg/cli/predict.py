"""Shows one recorded frame to a generalist and prints the actions it answers with, as JSON, in the data set's units:
metres and radians in the end-effector frame, then the gripper (0 closed .. 1 open).

Example:
  rldg predict runs/octo --image wrist_1=wrist.png side_1=side.png --instruction "insert the USB-A connector"
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from rldg.cli.output import emit
from rldg.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Args:
    """Arguments of `rldg predict`."""

    # Folder of the generalist, its own or the original's checkpoint, or hf://owner/name.
    policy: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="P")]
    # A picture for each camera that the policy looks through: CAMERA=FILE.
    image: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="CAMERA=FILE")]
    # What the policy is told to do.
    instruction: str
    # Pictures of what is to be reached, for policies that take goals: CAMERA=FILE.
    goal: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="CAMERA=FILE")] = ()
    # The robot's state in the data set's units, for policies that read it; without it they are shown none.
    proprio: tuple[float, ...] = ()
    # By which of the checkpoint's data sets to un-normalise, where it has several.
    statistics: str = ""
    # Draw a sample; without it the answer is greedy, the same every time.
    seed: int | None = None
    # One line of JSON on standard output (which it is in any case).
    json: bool = False


def main(args: Args) -> int:
    """Exit status 0, or by exception 2 for a policy or pictures that cannot be put together."""
    files, goals = _files(args.image), _files(args.goal)
    import numpy as np

    from rldg.policies.frame import FramePolicy  # the policy's framework: not for --help
    from rldg.resolve import load_policy

    policy = load_policy(args.policy, statistics=args.statistics)
    if not isinstance(policy, FramePolicy):
        kind = policy.metadata.kind
        raise UsageError(f"The policy '{kind}' acts on the state of an episode, not on pictures; name a generalist.")
    sizes = policy.metadata.image_sizes
    for camera in files | goals:
        if camera not in sizes:
            raise UnknownNameError("camera", camera, sizes)
    if missing := sizes.keys() - files.keys():
        raise UsageError(f"The policy also looks through {', '.join(sorted(missing))}: --image {min(missing)}=FILE.")
    images, goal = ({camera: _read(file) for camera, file in part.items()} for part in (files, goals))
    proprio = np.array(args.proprio, np.float32) if args.proprio else None
    actions = policy.predict(images, args.instruction, args.seed, goal=goal or None, proprio=proprio)
    result = {
        "actions": actions,
        "policy": policy.metadata.kind,
        "instruction": args.instruction,
        "statistics": policy.metadata.statistics_key,
        "seed": args.seed,
    }
    emit(result, True, "")
    return 0


def _files(given: tuple[tuple[str, ...], ...]) -> dict[str, Path]:
    return dict(_camera_and_file(text) for texts in given for text in texts)


def _camera_and_file(text: str) -> tuple[str, Path]:
    camera, equals, file = text.partition("=")
    if not (camera and equals and file):
        raise UsageError(f"--image takes CAMERA=FILE, such as wrist_1=wrist.png; got '{text}'.")
    return camera, Path(file)


def _read(file: Path) -> "np.ndarray":
    """A picture as (H, W, 3) uint8 RGB."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            return np.asarray(picture.convert("RGB"))
    except UnidentifiedImageError:
        raise UsageError(f"{file} is not a picture that can be read (PNG or JPEG).") from None
