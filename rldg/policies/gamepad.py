"""`Gamepad`: sticks and triggers of a game controller (pygame), in the layout that SDL calls standard."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from rldg.env.types import Observation
from rldg.errors import DeviceError
from rldg.policies.hand import Hand, Word, facing, missing
from rldg.tasks.task import Task

DEAD_ZONE = 0.08  # of a stick's way, in which a hand that rests on it trembles
# Axes and buttons of SDL's game controllers.
LEFT_X, LEFT_Y, RIGHT_X, RIGHT_Y, LEFT_TRIGGER, RIGHT_TRIGGER = range(6)
A, B, X, Y, BACK, _, START, _, _, LEFT_SHOULDER, RIGHT_SHOULDER, UP, DOWN, LEFT, RIGHT = range(15)
WORDS: dict[int, Word] = {X: "stop", BACK: "discard", Y: "failure", START: "success"}  # the first that is pressed


class Gamepad:
    """Left stick: away, right. Triggers: down (left), up (right). Right stick: yaw, pitch; shoulders: roll.

    A closes the gripper, B opens it; start: success, Y: failure, back: discard, X: stop.

    Args:
        opened: gives a reader with `axis(n)` in [-1, 1] and `button(n)`, by SDL's numbers; the first pad by default.
    """

    name = "gamepad"
    waits = False

    def __init__(self, opened: Callable[[], Any] | None = None) -> None:
        self._opened = opened or _FirstPad

    def open(self) -> None:
        """Finds the pad. Raises `DeviceError` if there is none."""
        self._pad, self._held = self._opened(), frozenset[int]()

    def begin(self, task: Task) -> None:
        """Forgets what was pressed before the episode."""
        self.read()

    def show(self, observation: Observation, recording: bool) -> None:
        """Nothing to show."""

    def read(self) -> Hand:
        """The sticks as they are; a word once, when its button goes down."""
        held = frozenset(button for button in WORDS if self._pad.button(button))
        pressed, self._held = held - self._held, held
        axis, button = self._axis, self._pad.button
        along = facing(axis(LEFT_X), -axis(LEFT_Y), axis(RIGHT_TRIGGER) - axis(LEFT_TRIGGER))
        roll = float(button(RIGHT_SHOULDER)) - float(button(LEFT_SHOULDER))
        about = facing(axis(RIGHT_Y), roll, -axis(RIGHT_X))
        words: list[Word] = [word for button, word in WORDS.items() if button in pressed]
        return Hand(np.array((*along, *about)), float(button(B)) - float(button(A)), words[0] if words else "")

    def _axis(self, number: int) -> float:
        value = float(self._pad.axis(number))
        return np.sign(value) * max(0.0, abs(value) - DEAD_ZONE) / (1 - DEAD_ZONE)


class _FirstPad:
    """SDL's game controller number 0."""

    def __init__(self) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # no window, so no focus either
        os.environ.setdefault("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "1")
        try:
            import pygame
            from pygame._sdl2 import controller
        except ImportError:
            raise missing("gamepad", "pygame") from None
        pygame.display.init()  # events, which pads are among, need it
        controller.init()
        if not controller.get_count():
            raise DeviceError("No gamepad is connected, or none whose layout SDL knows; plug one in.")
        self._pump, self._pad = pygame.event.pump, controller.Controller(0)

    def axis(self, number: int) -> float:
        self._pump()
        return self._pad.get_axis(number) / 32767

    def button(self, number: int) -> bool:
        return bool(self._pad.get_button(number))
