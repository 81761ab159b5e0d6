"""What happens to a training besides learning (losses, restarts, advice), on the terminal and in `train.log`."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

LOG = "train.log"


class _AboveTheBar(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


@contextmanager
def journal(folder: Path) -> Iterator[None]:
    """Sends what `rldg` logs, from warnings on, to standard error and with time and process to `folder/train.log`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(folder / LOG, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(process)d %(message)s", "%Y-%m-%dT%H:%M:%S"))
    package = logging.getLogger("rldg")
    handlers = (file, _AboveTheBar())
    for handler in handlers:
        package.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            package.removeHandler(handler)
        file.close()
