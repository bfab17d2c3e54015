"""Recordings for the doors."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of the packaged recordings."""
    return Path(__file__).parents[2] / "src" / "bimodal" / "service" / "static" / "samples"
