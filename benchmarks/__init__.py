"""Measures stillhere beside its peers: `benchmarks/run`."""
