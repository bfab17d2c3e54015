"""Each speaker standardised by their own speech, where there is enough of it and several emotions."""

from pathlib import Path

import numpy as np
import pytest

from bimodal.audio.decode import load_signal
from bimodal.audio.segmentation import Segment
from bimodal.diarisation.diarise import SpeakerTurn
from bimodal.diarisation.pieces import Piece, TurnTable
from bimodal.features.pooling import pool
from bimodal.features.speaker_stats import measure_stats
from bimodal.inference import own_baseline
from bimodal.inference.model import Model
from bimodal.inference.own_baseline import standardise_speakers


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return Model(tiny_model, threads=1)


@pytest.fixture(scope="module")
def pieces(tiny_manifest: Path) -> list[Piece]:
    """Tones of three emotions by two speakers."""
    files = sorted((tiny_manifest.parent / "audio").glob("s[01]-*.wav")) * 2
    found = []
    for number, file in enumerate(files):
        segment = Segment(start=float(number), end=number + 0.5, signal=load_signal(file))
        found.append(Piece(segment=segment, speaker=f"speaker {int(file.name[1]) + 1}"))
    return found


def table_of(pieces):
    turns = [
        SpeakerTurn(start=one.segment.start, end=one.segment.end, speaker=one.speaker, confidence=1.0) for one in pieces
    ]
    return TurnTable(turns)


def test_each_speaker_has_the_statistics_of_their_own_pieces(model, pieces):
    adapted = standardise_speakers(model, table_of(pieces), pieces)
    assert "36 unlabelled stretches of the recording itself, each of 2 speakers by their own" in (
        adapted.config.adapted_to
    )
    assert adapted.speakers.speakers == ("speaker 1", "speaker 2")
    own = [pool(model.encode_frames(one.segment.signal), model.pooling) for one in pieces if one.speaker[-1] == "1"]
    found = adapted.speakers.of("speaker 1", own[0].shape)
    assert found.count == 18 and found.mean == pytest.approx(measure_stats(np.stack(own)).mean, abs=1e-5)
    assert not model.config.adapted_to and adapted.config.revision != model.config.revision


def test_few_pieces_change_nothing(model, pieces):
    assert standardise_speakers(model, table_of(pieces[:19]), pieces[:19]) is model
    assert standardise_speakers(model, table_of([]), []) is model


def test_pieces_of_one_emotion_change_nothing(model, pieces):
    one = list(pieces[:3]) * 10
    assert standardise_speakers(model, table_of(one), one) is model


def test_of_very_many_pieces_evenly_spaced_ones_are_used(model, pieces, monkeypatch):
    monkeypatch.setattr(own_baseline, "MOST_PIECES", 24)
    adapted = standardise_speakers(model, table_of(pieces * 2), pieces * 2)
    assert adapted.adaptation.corpus.count == 24  # every third of 72
