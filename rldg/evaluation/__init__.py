"""Trials on locked scenes, intervals, paired comparison, figures and the report."""
