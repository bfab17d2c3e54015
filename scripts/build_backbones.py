"""Build the two backbone artifacts of the distribution `bimodal-backbones` from Hub ids or local folders.

Usage: python scripts/build_backbones.py [--whisper openai/whisper-base]
                                         [--minilm sentence-transformers/all-MiniLM-L6-v2]
"""

import argparse
from pathlib import Path

from bimodal.features.backbone import DEFAULT_SPEECH, DEFAULT_TEXT, BackboneDescription
from bimodal.features.build_backbone import build_speech_backbone, build_text_backbone

OUT = Path(__file__).parents[1] / "backbones" / "src" / "bimodal_backbones"
WHISPER = BackboneDescription(
    name=DEFAULT_SPEECH,
    kind="speech",
    source="openai/whisper-base",
    licence="MIT",
    layers=(2, 3, 4),
    width=512,
    weights="int8",
    preprocessing="level -20 dB, Whisper log-mel, unpadded",
)
MINILM = BackboneDescription(
    name=DEFAULT_TEXT,
    kind="text",
    source="sentence-transformers/all-MiniLM-L6-v2",
    licence="Apache-2.0",
    layers=(4, 5, 6),
    width=384,
    weights="int8",
    preprocessing="NFKC, mean over tokens",
    languages=("en",),
)


def main() -> None:
    """Build both, say what they weigh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--whisper", default=WHISPER.source)
    parser.add_argument("--minilm", default=MINILM.source)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    build_speech_backbone(options.whisper, options.out / "whisper_base_4", WHISPER, "int8")
    build_text_backbone(options.minilm, options.out / "minilm_l6", MINILM, "int8")
    for file in sorted(options.out.rglob("*.onnx")):
        print(f"{file.relative_to(options.out)}  {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
