"""`Keyboard`: held keys move the arm (pynput), whichever window has the focus."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from rldg.env.types import Observation
from rldg.errors import DeviceError
from rldg.policies.hand import Hand, Word, facing, missing
from rldg.tasks.task import Task

# Key -> what it does to (right, away, up), and to turns about them, for a person who faces the robot.
MOVES = {"d": (1, 0, 0), "a": (-1, 0, 0), "w": (0, 1, 0), "s": (0, -1, 0), "e": (0, 0, 1), "q": (0, 0, -1)}
TURNS = {"k": (1, 0, 0), "i": (-1, 0, 0), "o": (0, 1, 0), "u": (0, -1, 0), "j": (0, 0, 1), "l": (0, 0, -1)}
GRIPPER = {"c": -1.0, "v": 1.0}  # close, open
WORDS: dict[str, Word] = {"enter": "success", "backspace": "failure", "delete": "discard", "esc": "stop"}
SLOW, SLOW_SHARE = "shift", 0.25


class Listening(Protocol):
    """What presses and releases are reported to."""

    def __call__(self, pressed: Callable[[str], None], released: Callable[[str], None]) -> Any:
        """Starts to report keys by name: characters in lower case, else enter, backspace, delete, esc, shift."""
        ...


class Keyboard:
    """W S: away and near; A D: left and right; E Q: up and down; I K, U O, J L: turns; C V: close and open the gripper.

    Shift slows down to a quarter. Enter: success, backspace: failure, delete: discard, escape: stop.

    Args:
        listen: reports the keys; all keys of the desktop by default.
    """

    name = "keyboard"
    waits = False

    def __init__(self, listen: Listening | None = None) -> None:
        self._listen = listen or _desktop
        self._lock = threading.Lock()
        self._held: set[str] = set()
        self._word: Word = ""

    def open(self) -> None:
        """Starts to listen. Raises `DeviceError` where there is no desktop."""
        self._listener = self._listen(self._pressed, self._released)

    def begin(self, task: Task) -> None:
        """Forgets what was typed before the episode."""
        with self._lock:
            self._word = ""

    def show(self, observation: Observation, recording: bool) -> None:
        """Nothing to show."""

    def read(self) -> Hand:
        """Of the keys that are held now; a word once."""
        with self._lock:
            held, word, self._word = frozenset(self._held), self._word, ""
        return hand_of(held, word)

    def _pressed(self, key: str) -> None:
        with self._lock:
            if key in WORDS and key not in self._held and self._word != "stop":
                self._word = WORDS[key]
            self._held.add(key)

    def _released(self, key: str) -> None:
        with self._lock:
            self._held.discard(key)


def hand_of(held: frozenset[str], word: Word = "") -> Hand:
    """What the keys that are held mean together."""
    share = SLOW_SHARE if SLOW in held else 1.0
    along, about = (_sum(held, keys) for keys in (MOVES, TURNS))
    twist = share * np.array((*facing(*along), *facing(*about)))
    return Hand(twist, sum(GRIPPER[key] for key in held & GRIPPER.keys()), word)


def _sum(held: frozenset[str], keys: dict[str, tuple[int, int, int]]) -> list[float]:
    return [float(sum(keys[key][axis] for key in held & keys.keys())) for axis in range(3)]


def _desktop(pressed: Callable[[str], None], released: Callable[[str], None]) -> Any:
    try:
        from pynput import keyboard
    except ImportError as error:
        if error.name == "pynput":
            raise missing("keyboard", "pynput") from None
        raise DeviceError("The keyboard is read from a desktop, and there is none; use --policy browser.") from None

    def name(key: Any) -> str:
        return (getattr(key, "char", None) or getattr(key, "name", "") or "").lower().removesuffix("_r")

    listener = keyboard.Listener(
        on_press=lambda key: pressed(name(key)), on_release=lambda key: released(name(key)), daemon=True
    )
    listener.start()
    return listener
