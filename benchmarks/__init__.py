"""Benchmarks: ours and its peers in one call, in turns, after their answers were found equal."""
