"""RLDG: narrow reinforcement learning turned into data for generalist robot policies (arXiv 2412.09858)."""

__version__ = "0.1.0"
