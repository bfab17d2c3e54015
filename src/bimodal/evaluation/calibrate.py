"""Give a model folder its table of prediction sets, from a manifest of rows that it was not trained on."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from bimodal.data.manifest import ManifestSource, open_manifest
from bimodal.data.text import normalise_transcript
from bimodal.errors import BimodalError, ModelFolderError
from bimodal.evaluation.predict import Progress, manifest_clips, plain
from bimodal.evaluation.rows import describe_seen_rows, rows_to_calibrate
from bimodal.inference.batch import clip_speech
from bimodal.inference.fit_prediction_sets import CalibrationRows, cluster_rows, fit_prediction_sets, label_shares
from bimodal.inference.model import Model
from bimodal.inference.model_folder import CARD, PREDICTION_SETS, save_model_config
from bimodal.inference.outputs import Encoded
from bimodal.inference.prediction_sets import (
    SECTION,
    Kind,
    PredictionSets,
    describe_sets,
    save_prediction_sets,
    sets_section,
)
from bimodal.inference.recognizer import Recognizer
from bimodal.inference.seen_rows import load_seen_rows, save_seen_rows
from bimodal.records import Clip, Recognition, Utterance
from bimodal.training.rows import LabelledRows, label_rows

_AT_ONCE: Final = 16
Scored = dict[Kind, list[Recognition]]


def calibrate_model(
    model: Path, manifest: ManifestSource, *, split: str = "", threads: int = 0, progress: Progress = plain
) -> PredictionSets:
    """Calibrate the prediction sets of a model folder, and write the table into it; one that it has is replaced.

    Each row counts as speech alone, as words alone, and as both, as far as it has them. The more speakers, the higher
    the coverage that they support: k speakers support k / (k + 1).

    Args:
        model: Model folder; the table, `config.json` and the model card change.
        manifest: CSV or JSON Lines with labels and speakers; none of its rows may have trained the model.
        split: The rows to use; by default `dev` if there is one, else all but `test`.
        threads: As in `Recognizer`.
        progress: Wraps iterables with a bar.

    Raises:
        BimodalError: A problem with the model, the manifest or a recording, or a row that the model has seen.
        ModelFolderError: The folder cannot be written.
    """
    read = open_manifest(manifest)
    chosen, seen = rows_to_calibrate(read, split), load_seen_rows(model)
    if seen is not None and (sentence := describe_seen_rows(seen, chosen, read.folder)):
        raise BimodalError(f"{read.path}: {sentence}; name rows that it has not seen, such as with --split")
    recognizer = Recognizer(model, threads=threads)
    config = recognizer.config
    rows = label_rows(chosen, config.vocabulary, recognizer.emotions, folder=recognizer.folder)
    clips = manifest_clips(recognizer, read, rows.utterances)
    found: dict[Kind, list[Recognition]] = {"both": [], "speech": [], "text": []}
    for first in progress(range(0, len(clips), _AT_ONCE), "calibrating"):
        for kind, results in _scored(recognizer.model, clips[first : first + _AT_ONCE]).items():
            found[kind] += results
    table = fit_prediction_sets({kind: _rows(kind, one, rows) for kind, one in found.items()}, recognizer.emotions)
    if not table.kinds:
        raise BimodalError(f"{read.path}: no row has speech or words that the model '{config.name}' uses")
    _write(recognizer.folder, recognizer.model, table, rows.utterances, read.folder)
    return table


def _scored(model: Model, clips: Sequence[Clip]) -> Scored:
    """Results of clips as both, as speech alone and as words alone."""
    encoded = [model.encode(None if one is None else one.signal) for one in map(clip_speech, clips)]
    silent = [replace(clip, transcript=None, transcript_confidence=None) for clip in clips]
    mute = [replace(clip, audio=None, columns=None) for clip in clips]
    fused = model.config.speech is None or model.config.text is None or bool(model.config.fusion_temperatures)
    return {
        "both": _results(model, clips, encoded) if fused else [_NOTHING for _ in clips],
        "speech": _results(model, silent, encoded),
        "text": _results(model, mute, [Encoded() for _ in clips]),
    }


def _results(model: Model, clips: Sequence[Clip], encoded: Sequence[Encoded]) -> list[Recognition]:
    """A result of each clip; one that abstained where nothing was given."""
    results = [_NOTHING] * len(clips)
    given = [
        row
        for row, (clip, one) in enumerate(zip(clips, encoded, strict=True))
        if one.duration is not None or clip.columns is not None or normalise_transcript(clip.transcript) is not None
    ]
    found = model.score([clips[row] for row in given], [encoded[row] for row in given])
    for row, result in zip(given, found, strict=True):
        results[row] = result
    return results


_NOTHING: Final = Recognition(emotion=None, scores={}, speech_scores=None, text_scores=None, gate=None, abstained=True)


def _rows(kind: Kind, results: Sequence[Recognition], rows: LabelledRows) -> CalibrationRows:
    """The rows whose result is of a kind."""
    wanted = {"both": (True, True), "speech": (True, False), "text": (False, True)}[kind]
    has = [(one.speech_scores is not None, one.text_scores is not None) for one in results]
    chosen = [row for row, one in enumerate(has) if one == wanted]
    clusters, unit = cluster_rows([rows.utterances[row] for row in chosen], kind)
    scores = [[results[row].scores[name] for name in rows.emotions] for row in chosen]
    return CalibrationRows(
        scores=np.array(scores, np.float64).reshape(len(chosen), len(rows.emotions)),
        shares=label_shares(rows.targets[chosen], len(rows.emotions)),
        clusters=clusters,
        unit=unit,
    )


def _write(folder: Path, model: Model, table: PredictionSets, rows: Sequence[Utterance], recordings: Path) -> None:
    """Write the table, and that the model has seen its rows, where its folder tells which it has seen."""
    try:
        if (seen := load_seen_rows(folder)) is not None:
            save_seen_rows(folder, rows, recordings, seen)
        save_prediction_sets(folder / PREDICTION_SETS, table)
        save_model_config(folder, model.config)
        card = folder / CARD
        if card.is_file():
            text = card.read_text(encoding="utf-8")
            card.write_text(with_section(text, describe_sets(table)), encoding="utf-8")
    except OSError as error:
        raise ModelFolderError(f"{folder}: cannot be written ({error.strerror})") from error


def with_section(card: str, sentences: Iterable[str]) -> str:
    r"""A model card with what it says of prediction sets; what it said before is replaced.

    Example:
        >>> with_section("# a\n", ["Speech alone: 9 rows."]).count("## Prediction sets")
        1
    """
    before, _, rest = card.partition(f"{SECTION}\n")
    _, mark, after = rest.partition("\n## ")
    return f"{before.rstrip()}\n\n{sets_section(list(sentences))}{mark.lstrip()}{after}"
