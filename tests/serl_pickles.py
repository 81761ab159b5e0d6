"""Transitions as SERL, HIL-SERL and RLDG pickle them, with made-up numbers."""

import pickle

import numpy as np
from scipy.spatial.transform import Rotation

PARTS = ("gripper_pose", "tcp_force", "tcp_pose", "tcp_torque", "tcp_vel")  # the alphabetical order of the flat state


def make_state(rng, with_gripper=True):
    state = {
        "gripper_pose": rng.uniform(size=1),
        "tcp_force": rng.normal(size=3),
        "tcp_pose": np.concatenate([rng.normal(size=3), rng.uniform(-1, 1, size=3)]),
        "tcp_torque": rng.normal(size=3),
        "tcp_vel": rng.normal(size=6),
    }
    return {part: state[part].astype(np.float32) for part in PARTS if with_gripper or part != "gripper_pose"}


def make_transitions(seed=0, lengths=(4, 3), dimensions=7, size=16, with_gripper=True, infos=True, raw=False):
    """Episodes of the given lengths, one after the other; every second one ends without reward."""
    rng = np.random.default_rng(seed)
    transitions, states = [], []
    for number, length in enumerate(lengths):
        parts = [make_state(rng, with_gripper) for _ in range(length + 1)]
        pictures = rng.integers(0, 256, size=(length + 1, 1, size, size, 3), dtype=np.uint8)
        observations = [
            {"state": np.concatenate(list(state.values()))[None], "wrist_1": picture}
            for state, picture in zip(parts, pictures, strict=True)
        ]
        for step in range(length):
            done = step == length - 1
            transition = {
                "observations": observations[step],
                "actions": rng.uniform(-1, 1, size=dimensions).astype(np.float32),
                "next_observations": observations[step + 1],
                "rewards": float(done and number % 2 == 0),
                "masks": 1.0 - done,
                "dones": done,
            }
            if infos:
                transition["infos"] = {"succeed": np.bool_(done)} | (
                    {"intervene_action": np.ones(7)} if step == 1 else {}
                )
            if raw:
                transition["original_state_obs"] = raw_state(parts[step], rng)
                transition["next_original_state_obs"] = raw_state(parts[step + 1], rng)
            transitions.append(transition)
            states.append(parts[step])
    return transitions, states


def raw_state(state, rng):
    quaternion = Rotation.from_euler("xyz", rng.uniform(-1, 1, size=3)).as_quat()
    return {
        "tcp_pose": np.concatenate([state["tcp_pose"][:3] + 0.5, quaternion]),
        "tcp_vel": state["tcp_vel"],
        "tcp_force": state["tcp_force"],
        "tcp_torque": state["tcp_torque"],
        "gripper_pose": 0.25,
    }


def write_pickle(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path
