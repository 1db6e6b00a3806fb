"""Benchmarks: honest, reproducible numbers."""
