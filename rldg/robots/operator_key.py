"""`OperatorKey`: a key that stops the arm, whichever window has the focus."""

import importlib
import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)


class OperatorKey:
    """Calls `pressed` when a key goes down anywhere on this machine's display.

    Without pynput or a display nothing listens, which is said once; the arm's own button is what stops it then.

    Args:
        key: its name in pynput, such as "esc"; "" for none.
        pressed: called from another thread, as often as the key goes down.
    """

    def __init__(self, key: str, pressed: Callable[[], None]) -> None:
        self._listener: Any = None
        if not key:
            return
        try:
            keyboard = importlib.import_module("pynput.keyboard")  # without a display it does not even import
            wanted = getattr(keyboard.Key, key, None) or keyboard.KeyCode.from_char(key)
            self._listener = keyboard.Listener(on_press=lambda got: pressed() if got == wanted else None)
            self._listener.start()
        except Exception as error:  # every display server has errors of its own
            self._listener = None
            logger.warning("No key stops the arm (%s); keep the arm's own stop button at hand.", error)

    def close(self) -> None:
        """Stops listening."""
        if self._listener is not None:
            self._listener.stop()
