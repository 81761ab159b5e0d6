"""Data cards: what another lab needs to know of a data set before it trains on it."""
