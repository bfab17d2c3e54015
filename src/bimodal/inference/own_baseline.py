"""Each speaker of a recording standardised by their own speech in it, without labels. Imports no torch."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from safetensors.numpy import save

from bimodal.audio.decode import Signal
from bimodal.diarisation.pieces import Piece, TurnTable
from bimodal.features.adaptation import Adaptation
from bimodal.features.speaker_stats import measure_speaker_stats
from bimodal.inference.adapt import LEAST_CLIPS, encode_clips, fit_adaptation
from bimodal.inference.model import Model

MOST_PIECES: Final = 1000
"""More pieces hardly change the statistics; of more, evenly spaced ones are taken."""


def standardise_speakers(model: Model, table: TurnTable, pieces: Iterable[Piece]) -> Model:
    """The model, adapted to a recording, in which each speaker is standardised by their own pieces.

    It stays as it is where there are fewer than 20 pieces, or where they seem to hold one emotion alone: its usual
    sound would then be taken for the speaker's.

    Args:
        model: With a speech network that is not adapted and uses no speaker statistics.
        table: Who speaks when.
        pieces: Of the recording; of very many, evenly spaced ones are used.
    """
    encoded = encode_clips(model, _some(pieces, table))
    if len(encoded.statistics) < LEAST_CLIPS:
        return model
    speakers = measure_speaker_stats(zip(encoded.speakers, encoded.statistics, strict=True))
    adaptation = fit_adaptation(model, encoded, speakers)
    if not adaptation.share:
        return model
    corpus = {"mean": adaptation.corpus.mean, "squares": adaptation.corpus.squares}
    digest = hashlib.sha256(save(corpus | {"weight": adaptation.weight})).hexdigest()
    return model.adapted(adaptation, _described(adaptation, len(speakers)), digest, speakers)


def _described(adaptation: Adaptation, speakers: int) -> str:
    part = "" if adaptation.share == 1.0 else f", by {100 * adaptation.share:.0f} % only, as they hold few emotions"
    who = "the one speaker" if speakers == 1 else f"each of {speakers} speakers"
    return f"{adaptation.corpus.count} unlabelled stretches of the recording itself, {who} by their own{part}"


def _some(pieces: Iterable[Piece], table: TurnTable) -> Iterator[tuple[Signal, str | None]]:
    """Every piece, or every second, third, ... of very many."""
    step = max(1, -(-table.count // MOST_PIECES))
    for number, piece in enumerate(pieces):
        if number % step == 0:
            yield piece.segment.signal, piece.speaker
