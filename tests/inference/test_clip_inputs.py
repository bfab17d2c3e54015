"""What the networks are given beside speech: columns, and words with those before."""

import numpy as np
import pytest

from bimodal.errors import BimodalError
from bimodal.features.backbone import DEFAULT_TEXT, TextBackbone, load_backbone
from bimodal.inference.clip_inputs import read_columns, read_windows
from bimodal.records import Clip, Turn


def test_columns_of_another_number_are_refused():
    clips = [Clip(columns=[1.0, 2.0]), Clip(transcript="Hello.")]
    assert read_columns(clips, 2).shape == (1, 2)
    with pytest.raises(BimodalError, match="2 feature columns, expected the 3"):
        read_columns(clips, 3)


def test_a_window_holds_the_words_and_those_before_them():
    backbone = load_backbone(DEFAULT_TEXT, threads=1)
    assert isinstance(backbone, TextBackbone)
    before = [Turn(transcript="No.", speaker="a"), Turn(transcript="Yes.", speaker="b")]
    (window,) = read_windows([Clip(transcript="Why?", speaker="b", before=before)], 1, backbone)
    assert window.pooled == pytest.approx(backbone.extract(["Yes.", "Why?"]), abs=1e-5)
    assert len(window.same) == 2 and np.all(window.same)
