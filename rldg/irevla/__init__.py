"""iRe-VLA (Guo et al. 2025): reinforcement learning of a generalist's head and supervised learning of all, in turns."""
