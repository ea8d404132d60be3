"""Benchmarks: `python -m bench`, figures as ratios from one run."""
