"""Reward classifiers: pictures labelled as success or not, what is learned from them, and how far it is to be trusted.

How a trained one acts is in `rldg.env`, which needs no more than NumPy for it.
"""
