"""The default model of bimodal, trained on data whose licences let anybody use it, as data."""

from pathlib import Path

FOLDERS = {"permissive": Path(__file__).parent / "permissive"}
"""Folder of each packaged model, by name."""
