"""`TerminalKey`: a key that a person presses or holds in the terminal."""

import atexit
import os
import select
import termios
import time
import tty

from rldg.errors import RldgError

KEY = " "
# A terminal tells of presses, not of releases: a held key repeats, after a delay, and is taken as released when it does
# not come again in time.
FIRST_REPEAT = 0.7  # s until a held key begins to repeat; the usual delays are 0.25 to 0.66
NEXT_REPEAT = 0.15  # s between repeats, at most


class TerminalKey:
    """A key of the terminal that this process was started from, whatever its standard input is.

    Raises `RldgError` where there is no terminal.
    """

    def __init__(self, key: str = KEY) -> None:
        try:
            self._terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
            self._before = termios.tcgetattr(self._terminal)
        except (OSError, termios.error):
            raise RldgError(
                "An operator is to press a key, but this process has no terminal; start it from one, or give "
                "`RobotEnv` a judge with another switch."
            ) from None
        tty.setcbreak(self._terminal, termios.TCSANOW)  # Ctrl-C still interrupts
        atexit.register(self.close)
        self._key, self._until, self._last, self._asked = key.encode(), 0.0, 0.0, 0.0

    def held(self) -> bool:
        """Whether the key is held now. What was typed while nobody asked, such as during a reset, says nothing."""
        now = time.monotonic()
        in_time, self._asked = now - self._asked <= FIRST_REPEAT, now
        while select.select([self._terminal], [], [], 0)[0] and (typed := os.read(self._terminal, 64)):
            if self._key in typed and in_time:
                repeats = now - self._last < FIRST_REPEAT
                self._until, self._last = now + (NEXT_REPEAT if repeats else FIRST_REPEAT), now
        return now < self._until

    def close(self) -> None:
        """Gives the terminal back as it was."""
        if self._terminal >= 0:
            termios.tcsetattr(self._terminal, termios.TCSANOW, self._before)
            os.close(self._terminal)
            self._terminal = -1
            atexit.unregister(self.close)
