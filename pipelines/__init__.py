"""Whole experiments; what `make` calls."""
