"""SERL's and HIL-SERL's pickled transitions as RLDS episodes; RLDG's own roll-outs are the same with a raw state.

A file is one flat list of dicts {observations, actions, next_observations, rewards, masks, dones, infos?,
grasp_penalty?, original_state_obs?}. Observations are {state: (1, D), camera: (1, H, W, 3)}; the state is its parts in
alphabetical order (papers: HIL-SERL, arXiv 2410.21845, `SERLObsWrapper`), orientations as extrinsic xyz angles.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from rldg.data.exchange.fields import features_of
from rldg.data.exchange.importing import Source
from rldg.data.exchange.pickles import load_pickle
from rldg.data.exchange.serl_columns import SerlSettings, Transition, TransitionColumns
from rldg.env.types import STATE_PARTS
from rldg.errors import DatasetError


class SerlImport(SerlSettings):
    """Imports a pickle of transitions, or every `*.pkl` of a folder in the order of the numbers in their names."""

    def open(self, source: Path) -> Source:
        """Reads the first transition; the rest follows file by file."""
        transitions = _transitions(_files(source))
        first = next(transitions, None)
        if first is None:
            raise DatasetError(f"{source} holds no transition.")
        layout = TransitionColumns(first, self)
        episodes = _episodes(chain([first], transitions))
        records = (layout.columns(episode, number) for number, episode in enumerate(episodes))
        return Source(features_of(layout.fields), {"train": records}, notes=layout.notes)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    found = [path for suffix in ("pkl", "pickle") for path in source.glob(f"*.{suffix}")]
    if not found:
        nested = sorted({str(path.parent) for path in source.rglob("*.pkl")})
        raise DatasetError(
            f"{source} holds no *.pkl" + (f"; there are some in {', '.join(nested)}." if nested else ".")
        )
    return sorted(found, key=lambda path: [int(n) if n.isdigit() else n for n in re.split(r"(\d+)", path.name)])


def _transitions(files: Sequence[Path]) -> Iterator[Transition]:
    """Every transition of the files, as flat dicts of plain arrays; one file is held at a time."""
    for path in files:
        content = load_pickle(path)
        if not isinstance(content, list):
            raise DatasetError(f"{path} holds a {type(content).__name__}; a list of transitions was expected.")
        for number, transition in enumerate(content):
            try:
                yield {
                    "state": _latest(transition["observations"]["state"], 1).astype(np.float32),
                    "next_state": _latest(transition["next_observations"]["state"], 1).astype(np.float32),
                    "images": {
                        camera: _picture(picture)
                        for camera, picture in sorted(transition["observations"].items())
                        if camera != "state"
                    },
                    "action": _latest(transition["actions"], 1).astype(np.float32),
                    "reward": _number(transition["rewards"]),
                    "done": bool(_number(transition["dones"])),
                    "infos": dict(transition["infos"]) if "infos" in transition else None,
                    "grasp_penalty": _number(transition["grasp_penalty"]) if "grasp_penalty" in transition else None,
                    "raw_state": _raw_state(transition.get("original_state_obs")),
                }
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise DatasetError(f"{path}: transition {number} is not one of SERL's: {error!r}.") from None


def _latest(value: Any, dimensions: int) -> np.ndarray:
    """The newest of the stacked observations (SERL's chunking puts them in front), or the only one."""
    if not isinstance(value, np.ndarray) or value.ndim not in (dimensions, dimensions + 1) or not value.size:
        raise ValueError(f"an array of {dimensions} dimensions was expected, got {_shape(value)}")
    return value[-1] if value.ndim > dimensions else value


def _picture(value: Any) -> np.ndarray:
    picture = _latest(value, 3)
    if picture.dtype != np.uint8 or picture.shape[2] != 3:
        raise ValueError(f"a picture of (H, W, 3) uint8 was expected, got {picture.dtype} of {_shape(picture)}")
    return picture


def _shape(value: Any) -> str:
    return f"shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def _number(value: Any) -> float:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise ValueError(f"a number was expected, got {_shape(value)}")
    return float(array.item())


def _raw_state(parts: Any) -> np.ndarray | None:
    """(20) in the order of `STATE_PARTS` from SERL's dict of the base-frame state, or None."""
    if not isinstance(parts, dict) or not all(part in parts for part in STATE_PARTS):
        return None
    flat = [np.asarray(parts[part], np.float32).reshape(-1) for part in STATE_PARTS]
    return np.concatenate(flat) if [len(part) for part in flat] == list(STATE_PARTS.values()) else None


def _episodes(transitions: Iterator[Transition]) -> Iterator[list[Transition]]:
    """Cuts at `dones`, and where a transition does not begin in the state in which the one before it ended."""
    episode: list[Transition] = []
    for transition in transitions:
        if episode and not np.array_equal(episode[-1]["next_state"], transition["state"], equal_nan=True):
            yield episode
            episode = []
        episode.append(transition)
        if transition["done"]:
            yield episode
            episode = []
    if episode:
        yield episode
