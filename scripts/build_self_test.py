"""Write the scores that `bimodal doctor` expects of the packaged clips: run it after each change of a packaged model.

    python scripts/build_self_test.py models/src/bimodal_models/permissive

An entry belongs to one revision of a model; those of other revisions are dropped.
"""

import sys
from pathlib import Path

import msgspec

from bimodal.cli.doctor import measure_scores
from bimodal.inference.model_folder import load_model_config

FILE = Path(__file__).parents[1] / "src" / "bimodal" / "cli" / "self_test.json"


def main() -> None:
    """Measure each model that is named."""
    found = {load_model_config(Path(name)).revision: _rounded(measure_scores(Path(name))) for name in sys.argv[1:]}
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


def _rounded(scores: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    return {
        clip: {given: {emotion: round(score, 4) for emotion, score in one.items()} for given, one in both.items()}
        for clip, both in scores.items()
    }


if __name__ == "__main__":
    main()
