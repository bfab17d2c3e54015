"""A model of bimodal for research, trained on non-commercial corpora too, as data."""

from pathlib import Path

FOLDERS = {"research": Path(__file__).parent / "research"}
"""Folder of each packaged model, by name."""
