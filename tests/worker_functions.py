"""What workers run in the tests; imports next to nothing, so that they start at once."""

import os
import time

from rldg.errors import UnknownNameError


def square(index):
    time.sleep(0.01 * (index % 3))
    return index**2


def dies(index, folder, times):
    """Kills its process on episode 2, the first `times` times."""
    if index == 2 and len(list(folder.iterdir())) < times:
        (folder / str(time.monotonic_ns())).touch()
        os._exit(1)
    return index


def hangs(index, folder, times):
    """Takes for ever on episode 2, the first `times` times."""
    if index == 2 and len(list(folder.iterdir())) < times:
        (folder / str(time.monotonic_ns())).touch()
        time.sleep(600)
    return index


def raises(index):
    if index == 2:
        raise UnknownNameError("fruit", "aple", ["apple"])
    return index


def gives_what_cannot_be_sent(index):
    return lambda: index
