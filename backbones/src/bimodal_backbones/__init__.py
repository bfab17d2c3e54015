"""The frozen feature extractors of bimodal, as data: converted weights of whisper-base and all-MiniLM-L6-v2."""

from pathlib import Path

FOLDERS = {
    "whisper-base-4": Path(__file__).parent / "whisper_base_4",
    "minilm-l6": Path(__file__).parent / "minilm_l6",
    "minilm-goemotions": Path(__file__).parent / "minilm_goemotions",
}
"""Artifact folder of each packaged backbone, by name."""
