"""From what a user types for a policy to the policy."""

import json
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any

from rldg.errors import CheckpointError, UnknownNameError, UsageError
from rldg.policies.base import Policy

NAMES = ("expert", "teleoperator", "teleoperator:average", "teleoperator:clumsy")
# Of generalists. Octo's: see `rldg.generalists.chunks`; OpenVLA's: see `rldg.generalists.openvla.policy`.
OPTIONS = {"execute": int, "ensemble": float, "crop": float, "bits": int, "compiled": int, "primary": str, "wrist": str}
OPENVLA = {"crop", "bits", "compiled"}
SLOTS = {"primary", "wrist"}  # which camera of the task a generalist's picture comes from
DEVICES = ("spacemouse", "gamepad", "keyboard", "browser")
BROWSER = {"host": str, "port": int}
REMOTE = {"connect": float, "answer": float, "keys": Path}  # of policy servers: see `rldg.policies.remote`
IREVLA = "irevla.json"  # in the run folder of iRe-VLA, whose last policy it names
SERVERS = ("ws://", "wss://")
THEN, PUSHES = ":then=", ":pushes="


def load_policy(text: str, *, stochastic: bool = False, statistics: str = "") -> Policy:
    """The policy that `text` names: `expert`, `teleoperator[:habits]`, the folder of a trained one, or a hub id.

    `FOLDER@STEP` takes a generalist's checkpoint of that step instead of its last one. Of Octo, `FOLDER:execute=2`
    carries out two actions of each chunk, and `FOLDER:ensemble=0.1` averages chunks over time; of OpenVLA,
    `FOLDER:crop=0.9` keeps the middle of pictures, `FOLDER:bits=8` quantises weights, and `FOLDER:compiled=1` decodes
    faster on a GPU. `FOLDER:primary=wrist_1` shows either the pictures of the task's camera wrist_1 as its "primary"
    ones (Octo may have a "wrist" as well). `hf://owner/name` is a published generalist. `ws://host:port` is a policy
    server, with `:answer=60,connect=10` seconds of patience and `:keys=FILE` for one that is not ours.
    `POLICY+teleoperator[:habits]` lets the simulated operator take over where the policy gets no further
    (`rldg.policies.intervention`).

    `spacemouse`, `gamepad`, `keyboard` and `browser[:host=0.0.0.0,port=8080]` are a person with that device, and
    `POLICY+DEVICE` lets the person take over. The device is opened when the first episode begins.

    `FIRST:then=SECOND` lets the second policy insert what the first has grasped (`rldg.policies.relay`), and
    `POLICY:pushes=0.5` pushes the policy off its way, every two seconds on average (`rldg.policies.pushed`).

    `stochastic` lets a specialist sample its actions, as the paper's roll-outs do; others ignore it. `statistics`
    chooses by which of its data sets a generalist un-normalises; the first one by default.

    Raises:
        UnknownNameError: neither a known name nor a folder.
        CheckpointError: the folder holds no policy that can be loaded.
    """
    base, plus, operator = text.rpartition("+")
    name, _, habits = text.partition(":")
    first, then, second = text.partition(THEN)
    before, pushes, rate = text.rpartition(PUSHES)
    if plus and (operator in NAMES or operator.partition(":")[0] in DEVICES):
        return under_operator(load_policy(base, stochastic=stochastic, statistics=statistics), operator)
    if then:
        from rldg.policies.relay import Relay

        return Relay(*(load_policy(part, stochastic=stochastic, statistics=statistics) for part in (first, second)))
    if pushes:
        from rldg.policies.pushed import Pushed

        return Pushed(load_policy(before, stochastic=stochastic, statistics=statistics), _number(rate))
    if name in DEVICES:
        from rldg.policies.device import DevicePolicy

        return DevicePolicy(_device(text))
    if name == "expert" and not habits:
        from rldg.policies.expert import Expert

        return Expert()
    if name == "teleoperator":
        from rldg.policies.teleoperator import Teleoperator

        return Teleoperator(habits or "skilled")
    if text.startswith(SERVERS):
        return _remote(*_with_options(text, REMOTE, "a policy server"))
    source, options = _with_options(text, OPTIONS, "a generalist")
    path, _, step = source.rpartition("@")
    folder, at = (Path(path), int(step)) if path and step.isdecimal() else (Path(source), None)
    published = source.startswith("hf://")
    if not published and not folder.is_dir():
        raise UnknownNameError("policy (a name, or the folder of a trained one)", text, (*NAMES, *DEVICES))
    folder = final_policy(folder)
    if published or _is_generalist(folder):
        from rldg.generalists.openvla.source import is_openvla

        whole = source if published else folder
        cameras = {slot: options.pop(slot) for slot in SLOTS & options.keys()}
        if is_openvla(whole):
            _refuse(options | cameras, "OpenVLA", (options.keys() - OPENVLA) | (cameras.keys() - {"primary"}))
            from rldg.generalists.openvla.policy import load_openvla

            return load_openvla(whole, at, statistics_key=statistics, camera=cameras.get("primary", ""), **options)
        _refuse(options, "Octo", OPENVLA)
        from rldg.generalists.chunks import chunk_execution
        from rldg.generalists.octo.policy import load_octo

        execution = chunk_execution(**options)
        return load_octo(whole, at, statistics_key=statistics, execution=execution, cameras=cameras)
    if options:
        raise UsageError(f"{folder} is no generalist, so it takes no {', '.join(options)}.")
    from rldg.specialists.policy import load_specialist

    return load_specialist(folder, stochastic=stochastic)


def under_operator(policy: Policy, operator: str) -> Policy:
    """`policy`, and the operator of this name who takes over from it; raises `UnknownNameError` for an unknown one."""
    if operator.partition(":")[0] in DEVICES:
        from rldg.policies.device import overseen

        return overseen(policy, _device(operator))
    from rldg.policies.intervention import Intervention

    return Intervention(policy, load_policy(operator))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"'{text}' is no number of pushes per second; valid: {PUSHES}0.5.") from None


def _device(text: str) -> Any:
    name, options = _with_options(text, BROWSER, "the page")
    if options and name != "browser":
        raise UsageError(f"The {name} has no options; the page has browser:host=0.0.0.0,port=8080.")
    match name:
        case "spacemouse":
            from rldg.policies.spacemouse import SpaceMouse

            return SpaceMouse()
        case "gamepad":
            from rldg.policies.gamepad import Gamepad

            return Gamepad()
        case "keyboard":
            from rldg.policies.keyboard import Keyboard

            return Keyboard()
        case "browser":
            from rldg.serving.teleop_page import Page

            return Page(**options)
    raise UnknownNameError("device", text, DEVICES)


def final_policy(folder: Path) -> Path:
    """Of a run of iRe-VLA, the folder of its last policy; any other folder as it is."""
    mark = folder / IREVLA
    if not mark.exists():
        return folder
    try:
        return folder / json.loads(mark.read_text(encoding="utf-8"))["policy"]
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(f"{mark} does not say which policy is the last; run it again.") from None


def _refuse(options: dict[str, Any], kind: str, foreign: Set[str]) -> None:
    if unfit := sorted(options.keys() & foreign):
        raise UsageError(f"{kind} has no option {', '.join(unfit)}.")


def _is_generalist(folder: Path) -> bool:
    """Whether a folder holds a checkpoint of a generalist, or one for each step of a run."""
    marks = ("dataset_statistics.json", "adapter_config.json", "config.json")
    return any((folder / mark).exists() or any(folder.glob(f"[0-9]*/{mark}")) for mark in marks)


def _remote(url: str, options: dict[str, Any]) -> Policy:
    from rldg.policies.remote import Patience, RemotePolicy
    from rldg.policies.remote_keys import read_remote_keys

    keys = options.pop("keys", None)
    return RemotePolicy(url, read_remote_keys(keys) if keys else None, Patience(**options))


def _with_options(text: str, known: Mapping[str, Callable[[str], Any]], whose: str) -> tuple[str, dict[str, Any]]:
    """`SOURCE:name=value,...` as the source and its options."""
    source, _, tail = text.rpartition(":")
    if "=" not in tail or not source:
        return text, {}
    options = {}
    for entry in tail.split(","):
        name, _, value = entry.partition("=")
        if name not in known:
            raise UnknownNameError(f"option of {whose}", name, known)
        try:
            options[name] = known[name](value)
        except ValueError:
            raise UsageError(f"'{entry}' is no {known[name].__name__}; valid: {name}=2.") from None
    return source, options
