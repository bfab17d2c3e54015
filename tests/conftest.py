"""Fixtures that any test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpus_data() -> Path:
    """Folder of the real corpora (BIMODAL_DATA, or `data` in the folder `shared` beside the repository).

    Skips where it is absent, except in CI: there a missing folder is a failure, so that nothing is skipped unseen.
    """
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BIMODAL_DATA", beside))
    if not folder.is_dir():
        complaint = (
            f"no corpora in {folder}; set BIMODAL_DATA to the folder that holds ravdess, emodb, meld_text_prosody"
        )
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(complaint)
        pytest.skip(complaint)
    return folder
