"""Frames of benchmarks' arms."""

import numpy as np

# Meta-World's hand points down and never turns: its x axis is the base's, its z axis points down. A pose (7) at 0.
SAWYER_HAND = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
