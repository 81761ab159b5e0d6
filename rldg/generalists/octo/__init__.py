"""Octo in Flax: the original parameter tree, and a size that trains from scratch on one CPU core."""
