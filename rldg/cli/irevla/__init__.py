"""Reinforcement learning and supervised learning of a generalist in turns (docs/irevla.md)."""

VERBS = {"run": "carry out a whole run: supervised, then task by task reinforcement learning and supervised learning"}
