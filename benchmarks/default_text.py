"""The words of the default models: the packaged tuned language model, and texts as a recogniser mishears them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.meld_tuned import GOEMOTIONS, first_tuning
from benchmarks.record import ROOT, Options
from bimodal.features.backbone import read_description
from bimodal.features.build_backbone import build_text_backbone
from bimodal.records import Utterance
from bimodal.training.tune import ENCODER

BACKBONE = ROOT / "backbones" / "src" / "bimodal_backbones" / "minilm_goemotions"
MISHEARD = 0.33  # share of the training texts that are also shown misheard
WRONG = 0.1  # share of their words that are lost, or another word


def tune_backbone(options: Options) -> Path:
    """Tune MiniLM on GoEmotions and build the packaged backbone of it, at 8 bits."""
    tuned = first_tuning(options)
    built = replace(
        read_description(tuned),
        name=GOEMOTIONS.name,
        source=GOEMOTIONS.source,
        languages=("en",),
        weights="int8",
        digests={},
        parity_cosine=0.0,
    )
    BACKBONE.mkdir(exist_ok=True)
    build_text_backbone(str(tuned / ENCODER), BACKBONE, built, "int8")
    return BACKBONE


def add_misheard(rows: Sequence[Utterance], seed: int = 0) -> list[Utterance]:
    """The rows, and of a third of those trained on a second one as speech recognition may write it.

    Without case and marks, one word in ten lost or another word of the same texts.
    """
    rng = np.random.default_rng(seed)
    words = [word for row in rows for word in _spoken(row.transcript or "")]
    found = list(rows)
    for row in rows:
        if row.split == "train" and rng.random() < MISHEARD:
            heard = " ".join(_mishear(_spoken(row.transcript or ""), words, rng))
            found.append(replace(row, id=f"{row.id} misheard", transcript=heard or row.transcript))
    return found


def _mishear(said: Sequence[str], words: Sequence[str], rng: np.random.Generator) -> list[str]:
    heard = []
    for word in said:
        draw = rng.random()
        if draw >= WRONG:
            heard.append(word)
        elif draw < WRONG / 2:
            heard.append(words[int(rng.integers(len(words)))])
    return heard


def _spoken(text: str) -> list[str]:
    return re.sub(r"[^\w' ]", " ", text.lower()).split()
