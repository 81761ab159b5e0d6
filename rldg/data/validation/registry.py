"""Every check, in the order in which they run. A new one is a function under `checks/` and an entry here."""

from rldg.data.validation.check import Check
from rldg.data.validation.checks import (
    balance,
    colours,
    contract,
    duplicates,
    files,
    flags,
    frames,
    gripper,
    labels,
    manifest,
    motion,
    numbers,
    response,
    scene,
    schema,
    state,
)
from rldg.data.validation.expected import CONTRACT
from rldg.data.validation.subject import METADATA, STEPS
from rldg.env.types import STATE_PARTS


def _steps(*names: str) -> tuple[str, ...]:
    return tuple(STEPS + name for name in names)


def _metadata(*names: str) -> tuple[str, ...]:
    return tuple(METADATA + name for name in names)


_RAW, _POSE = _steps("observation/raw_state"), _steps("observation/tcp_pose")
_STATE = _steps("observation/state", *(f"observation/{part}" for part in STATE_PARTS))
_OUTCOME = (*_steps("reward", "discount", "is_terminal"), *_metadata("success", "failure_reason"))

# Over the folder: Path -> findings.
FOLDER_CHECKS = {
    "files": files.check_files,
    "manifest": manifest.check_manifest,
    "schema": schema.check_schema,
}

EPISODE_CHECKS = (
    Check("numbers", numbers.check_numbers),
    Check("boundaries", flags.check_boundaries, needs=_steps("is_first", "is_last", "is_terminal")),
    Check("outcome", flags.check_outcome, needs=(CONTRACT, *_OUTCOME)),
    Check("instruction", labels.check_instruction, needs=_steps("language_instruction")),
    Check("metadata", labels.check_metadata, needs=(CONTRACT, *_metadata("seed", "time"))),
    Check("state", state.check_state, needs=(*_RAW, *_STATE)),
    Check("gripper", gripper.check_gripper, needs=_steps("action", "observation/gripper_pose")),
    Check(
        "contract",
        contract.check_contract,
        needs=(CONTRACT, *_steps("action", "action_normalized", "base_action"), *_RAW),
    ),
    Check("contracts", contract.meaning, contract.compare_meanings, needs=(CONTRACT, *_metadata("task", "task_hash"))),
    Check("motion", motion.motion, response.judge, needs=(*_steps("action"), *_RAW)),
    Check("pictures", frames.check_pictures),
    Check("frozen", frames.check_frozen, needs=_POSE),
    Check("colours", colours.first_look, colours.compare_colours),
    Check(
        "scene", scene.scene_of, scene.check_scenes, needs=_metadata("backend", "task", "task_hash", "station", "seed")
    ),
    Check("duplicates", duplicates.identity, duplicates.find_duplicates),
    Check("balance", balance.outcome, balance.check_balance),
)

NAMES = (*FOLDER_CHECKS, *(check.name for check in EPISODE_CHECKS))
