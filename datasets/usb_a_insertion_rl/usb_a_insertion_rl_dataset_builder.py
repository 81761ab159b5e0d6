"""The specialist's successes that `make demo` collects: `tfds build datasets/usb_a_insertion_rl --data_dir data`.

The pattern for a data set of one's own: a folder of its name, this file in it, named like this one.
"""

import tensorflow_datasets as tfds
from rldg_episodes.episodes_builder import EpisodesBuilder

from rldg.data.publishing.publication import Publication


class Builder(EpisodesBuilder):
    """Insertion of a USB-A plug in simulation, by a reinforcement learning specialist."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    PUBLICATION = Publication(
        sources=("runs/demo/data/rl",),
        successes=True,
        validation=0.1,
        description="A simulated Franka arm inserts a USB-A plug; successes of a specialist trained by RLPD.",
        license="Apache-2.0",
    )
