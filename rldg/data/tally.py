"""How far a collection is: `Tally` counts, `Progress` shows it."""

import time
from dataclasses import dataclass, field

from tqdm import tqdm

from rldg.data.reader import open_dataset
from rldg.data.writer import DatasetWriter


@dataclass
class Tally:
    """What a data set holds so far. `reached`: episodes, or successes, from number 0 on up to the first gap."""

    count_successes: bool
    outcomes: dict[int, bool] = field(default_factory=dict)
    successes: int = 0
    steps: int = 0
    size: int = 0  # bytes
    reached: int = 0
    _gap: int = 0

    @classmethod
    def of(cls, writer: DatasetWriter, count_successes: bool) -> "Tally":
        """What stands on disk. Raises `DatasetError` if an episode there is broken."""
        tally = cls(count_successes)
        if writer.indices:
            for index, entry in zip(sorted(writer.indices), open_dataset(writer.folder).entries, strict=True):
                tally.add(index, entry.success, entry.length, entry.file.stat().st_size)
        return tally

    def add(self, index: int, success: bool, length: int, size: int) -> None:
        """Counts an episode of `length` control steps and `size` bytes."""
        self.outcomes[index] = success
        self.successes += success
        self.steps += length
        self.size += size
        while self._gap in self.outcomes:
            self.reached += self.outcomes[self._gap] if self.count_successes else 1
            self._gap += 1


class Progress:
    """A line on standard error: episodes and remaining time, success share, frames per second, expected size."""

    def __init__(self, name: str, asked: int, tally: Tally) -> None:
        self._tally, self._asked, self._steps = tally, asked, tally.steps
        self._started = time.monotonic()
        unit = "success" if tally.count_successes else "episode"
        self._bar = tqdm(total=asked, initial=tally.reached, unit=unit, desc=name, dynamic_ncols=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self) -> None:
        """Brings the line up to date."""
        tally = self._tally
        rate = (tally.steps - self._steps) / max(time.monotonic() - self._started, 1e-9)
        expected = tqdm.format_sizeof(tally.size * self._asked / max(tally.reached, 1), "B")
        self._bar.set_postfix_str(
            f"{tally.successes / len(tally.outcomes):.0%} of {len(tally.outcomes)} successful, {rate:.0f} frames/s, "
            f"{expected} expected",
            refresh=False,
        )
        self._bar.update(tally.reached - self._bar.n)
