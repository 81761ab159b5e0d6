"""`tfds build datasets/rldg_episodes`: any data sets of episodes, published as one.

Example:
    tfds build datasets/rldg_episodes --data_dir data \
        --config '{"name": "usb_a", "sources": ["runs/a", "runs/b"], "successes": true}' \
        --beam_pipeline_options=direct_num_workers=2,direct_running_mode=multi_processing
"""

from rldg_episodes.episodes_builder import EpisodesBuilder, EpisodesConfig


class Builder(EpisodesBuilder):
    """The data sets that `--config` names; without it, the two that `make demo` collects."""

    BUILDER_CONFIGS = [EpisodesConfig(name="demo", sources=("runs/demo/data/rl", "runs/demo/data/teleoperator"))]
