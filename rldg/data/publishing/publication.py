"""`Publication`: what is published, and how."""

from dataclasses import dataclass
from typing import Literal

from rldg.errors import DatasetError


@dataclass(frozen=True)
class Publication:
    """What is published, and how it says of itself what it is."""

    # Folders of the data sets, each with a features.json; all with the same features.
    sources: tuple[str, ...]
    # Leave failed episodes out.
    successes: bool = False
    # Share of the episodes that goes to the split "val", chosen by episode id; without it, each stays in its split.
    validation: float | None = None
    # From which the order of the episodes, and their choice for "val", descend.
    seed: int = 0
    # TFRecord is what Octo and OpenVLA read; ArrayRecord has random access (`as_data_source`, grain).
    file_format: Literal["tfrecord", "array_record"] = "tfrecord"
    # Size at which a split is cut into shards [MiB] ...
    shard_size: int = 256
    # ... or into how many; never more than it has episodes.
    shards: int | None = None
    # Leave broken records out and say which, instead of failing.
    skip_broken: bool = False
    # For `dataset_info.json`: what the data set is, how to cite it, under which licence it may be used, where it lives.
    description: str = "Robot episodes in RLDS, published with rldg."
    citation: str = ""
    license: str = ""
    homepage: str = ""

    def __post_init__(self) -> None:
        """Refuses numbers that mean nothing."""
        if self.validation is not None and not 0 < self.validation < 1:
            raise DatasetError(f"The share for validation must lie between 0 and 1, not {self.validation}.")
        if self.shard_size < 1 or (self.shards is not None and self.shards < 1):
            raise DatasetError("Shards must be at least one, of at least 1 MiB.")
