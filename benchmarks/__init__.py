"""Benchmarks on public corpora: `python -m benchmarks.all` writes docs/results.md."""
