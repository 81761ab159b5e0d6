"""Benchmarks' own environments under the project's contracts."""
