"""The study of losses, rare emotions and kinds of fusion: `python -m benchmarks.study` writes docs/study.md."""
