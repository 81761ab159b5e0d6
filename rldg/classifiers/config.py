"""What a classifier's training can be told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ClassifierConfig:
    """Sizes and rates. HIL-SERL: 150 steps of 128 positives and 128 negatives, Adam at 1e-4, a frozen ResNet-10."""

    # Channels of each camera's four convolutions.
    channels: tuple[int, ...] = (24, 32, 48, 64)
    # Width of the hidden layer.
    hidden: int = 64
    # Share of each picture's side that is looked at, where positives differ most from near misses; 1 for all of it.
    crop: float = 0.5
    # Updates.
    steps: int = 800
    # Pictures per update, half of them positives.
    batch_size: int = 64
    # Of Adam, at its highest; it rises over a tenth of the updates, at most 40, and falls to nothing.
    learning_rate: float = 2e-3
    # Decay of the weights.
    weight_decay: float = 1e-3
    # Pixels, at most, by which pictures are shifted along each side (random crops).
    shift: int = 2
    # Share, at most, by which brightness and contrast of pictures are changed.
    light: float = 0.15
    # How far labels are pulled towards one half: keeps scores from running away.
    smoothing: float = 0.02
    # Positives that are learned from, drawn at random; 0 for all.
    positives: int = 0
    # Negatives, the same.
    negatives: int = 0
