"""Prediction: the scores of a model on the labelled utterances of a manifest."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from bimodal.arrays import Floats
from bimodal.asr.transcribe import transcript_confidence
from bimodal.data.batches import main_emotion
from bimodal.data.manifest import ManifestSource, feature_matrix, open_manifest
from bimodal.data.text import preceding_rows
from bimodal.errors import BimodalError
from bimodal.evaluation.predictions import RESERVED, SET_COVERAGE, ClusterName, Predictions, late_fusion
from bimodal.evaluation.rows import choose_rows, note_on_seen
from bimodal.files import JSON_ERRORS, atomic_write
from bimodal.inference.fit_prediction_sets import sets_of_scores
from bimodal.inference.model_folder import LABEL_MATCHED, NO_EVIDENCE, PAIRING, REPORT
from bimodal.inference.prediction_sets import Kind, PredictionSets, kinds_of
from bimodal.inference.recognizer import Recognizer
from bimodal.records import Clip, Manifest, Recognition, Turn, Utterance
from bimodal.training.rows import LabelledRows, label_rows

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
Notes = tuple[str, ...]
_AT_ONCE: Final = 16
_FIELDS: Final = ("speaker", "transcript", "lang", "dialogue")
NO_LATE: Final = (
    "Late fusion is left out: the fusion of this model learnt from no pairs of speech and text, so both networks may "
    "have learnt from different rows, and have no common prior to divide by."
)
_LEAST_PRIOR: Final = 1e-6


def plain(items: Iterable[Any], label: str) -> Iterable[Any]:
    """No progress bar."""
    return items


def evaluate_model(
    model: str | Path,
    manifest: ManifestSource,
    *,
    split: str = "",
    cluster: str = "speaker",
    threads: int = 0,
    progress: Progress = plain,
) -> tuple[Predictions, Notes]:
    """Predictions of a model for the labelled utterances of a manifest.

    Args:
        model: Model folder.
        manifest: CSV or JSON Lines.
        split: Rows to test on; empty for `test` if there is such a split, otherwise all rows.
        cluster: Unit of resampling: `speaker`, `dialogue` or `utterance`.
        threads: As in `Recognizer`.
        progress: Wraps iterables with a bar.

    Returns:
        Predictions of speech alone, text alone, late fusion and fused; notes on rows that are left out.

    Raises:
        BimodalError: A problem with the model, the manifest or a recording.
    """
    recognizer, read = Recognizer(model, threads=threads), open_manifest(manifest)
    found, notes = predict_model(recognizer, read, split=split, cluster=cluster, progress=progress)
    return found, (*notes, *note_on_seen(recognizer.folder, read, split))


def predict_model(
    recognizer: Recognizer,
    read: Manifest,
    *,
    split: str = "",
    cluster: str = "speaker",
    batch: int = _AT_ONCE,
    progress: Progress = plain,
) -> tuple[Predictions, Notes]:
    """As `evaluate_model`, for a loaded model and manifest. Memory grows with the batch alone.

    Args:
        recognizer: The model.
        read: The manifest. Speech is its recordings, or the columns that the model uses.
        split: As in `evaluate_model`.
        cluster: As in `evaluate_model`.
        batch: Utterances per batch.
        progress: Wraps iterables with a bar.

    Raises:
        BimodalError: A problem with the manifest or a recording.
    """
    utterances, notes = choose_rows(read, split)
    utterances = really_paired(utterances, notes)
    by_label = recognizer.config.pairing == LABEL_MATCHED
    notes += [NO_EVIDENCE] if by_label else []
    rows = label_rows(
        utterances, recognizer.config.vocabulary, recognizer.emotions, multiple_labels="drop", folder=recognizer.folder
    )
    clips = manifest_clips(recognizer, read, rows.utterances)
    results: list[Recognition] = []
    for first in progress(range(0, len(clips), batch), "recognising"):
        results += recognizer.recognize_batch(clips[first : first + batch])
    systems = {
        "speech": _stacked([result.speech_scores for result in results], recognizer),
        "text": _stacked([result.text_scores for result in results], recognizer),
        "fused": _stacked([None if result.abstained else result.scores for result in results], recognizer),
    }
    notes += [f"{count} rows left out: {reason}" for reason, count in rows.dropped.items()]
    priors = np.array(recognizer.config.priors) if learnt_from_pairs(recognizer.folder) else None
    found = predictions_of(rows, systems, priors, cluster, paired_only=by_label)
    notes += [NO_LATE] if priors is None and {"speech", "text"} <= found.scores.keys() else []
    kinds = [kinds_of(result) for result in results]
    found = _with_reasons(found, results)
    return with_sets(found, recognizer.model.prediction_sets, kinds), tuple(notes)


def learnt_from_pairs(model: Path) -> bool:
    """Whether a model's fusion has trained parameters, or its folder does not tell.

    The networks of a model whose fusion is a closed formula may have learnt from different rows. Then they have no
    common prior, which late fusion divides by.
    """
    try:
        report = msgspec.json.decode((model / REPORT).read_bytes())
        return bool(report["parameters"].get("fusion", 1))
    except (OSError, *JSON_ERRORS, KeyError, TypeError, AttributeError):
        return True


def _with_reasons(predictions: Predictions, results: Sequence[Recognition]) -> Predictions:
    """Predictions with a column of why the model abstained, where it did."""
    if not any(result.abstained for result in results):
        return predictions
    system = "fused" if "fused" in predictions.scores else predictions.systems[0]
    reasons = tuple(result.reason if result.abstained else None for result in results)
    return replace(predictions, extra={**predictions.extra, f"abstained_{system}": reasons})


def with_sets(predictions: Predictions, table: PredictionSets | None, fused: Sequence[Sequence[Kind]]) -> Predictions:
    """Predictions with the prediction sets of the systems that were calibrated for them.

    Args:
        predictions: Of N utterances.
        table: Of the model; None: there are no sets.
        fused: What each utterance has, as `kinds_of` gives it.
    """
    if table is None:
        return predictions
    count = len(predictions.ids)
    kinds: dict[str, Sequence[Sequence[Kind]]] = {"speech": [["speech"]] * count, "text": [["text"]] * count}
    known = {name: one for name, one in (kinds | {"fused": fused}).items() if name in predictions.scores}
    calibrated = {name: one for name, one in known.items() if all(set(kind) <= set(table.kinds) for kind in one)}
    sets = {
        name: sets_of_scores(table, predictions.scores[name], one, predictions.emotions, SET_COVERAGE)
        for name, one in calibrated.items()
    }
    return replace(predictions, sets=sets)


def really_paired(utterances: Sequence[Utterance], notes: list[str]) -> list[Utterance]:
    """Leave out utterances whose speech and text were paired by label; add a note with their number."""
    kept = [utterance for utterance in utterances if utterance.extra.get(PAIRING) != LABEL_MATCHED]
    if len(kept) < len(utterances):
        notes.append(f"{len(utterances) - len(kept)} rows left out: their speech and text were paired by label")
    if not kept:
        raise BimodalError(f"all {len(utterances)} test rows have speech and text paired by label; test on real pairs")
    return kept


def manifest_clips(recognizer: Recognizer, read: Manifest, utterances: Sequence[Utterance]) -> list[Clip]:
    """Clips of a manifest's utterances, with the speech columns and earlier turns that the model uses."""
    names = () if recognizer.config.speech is None else recognizer.config.speech.columns
    columns: Any = feature_matrix(utterances, names) if names else [None] * len(utterances)
    before = _turns(read.utterances, recognizer.model.context)
    return [
        Clip(
            audio=None if utterance.path is None or names else read.folder / utterance.path,
            transcript=utterance.transcript,
            transcript_confidence=transcript_confidence(utterance),
            start=utterance.start,
            end=utterance.end,
            columns=None if values is None or np.isnan(values).all() else values,
            speaker=utterance.speaker,
            before=before[utterance.id],
        )
        for utterance, values in zip(utterances, columns, strict=True)
    ]


def _turns(utterances: Sequence[Utterance], context: int) -> dict[str, list[Turn]]:
    """Earlier turns of the dialogue, by utterance id."""
    said = [Turn(transcript=utterance.transcript, speaker=utterance.speaker) for utterance in utterances]
    before = preceding_rows(utterances, context)
    return {utterance.id: [said[row] for row in rows] for utterance, rows in zip(utterances, before, strict=True)}


def _stacked(scores: Sequence[Any], recognizer: Recognizer) -> npt.NDArray[np.float64]:
    """Scores (N, C), NaN if missing."""
    absent = [np.nan] * len(recognizer.emotions)
    return np.array([absent if row is None else [row.get(name, 0.0) for name in recognizer.emotions] for row in scores])


def predictions_of(
    rows: LabelledRows,
    systems: dict[str, npt.NDArray[Any]],
    priors: npt.NDArray[Any] | None,
    cluster: str,
    *,
    paired_only: bool,
) -> Predictions:
    """Predictions including late fusion; systems without any row are left out. Without `priors`, late fusion is, too.

    With `paired_only`, late fusion and fused are reported only for utterances with both modalities.
    """
    known = {name: scores for name, scores in systems.items() if not np.isnan(scores).all()}
    if "speech" in known and "text" in known:
        if priors is not None:
            share = np.maximum(priors, _LEAST_PRIOR)
            known["late"] = late_fusion(known["speech"], known["text"], share / share.sum())
        if paired_only:
            known = _with_both(known)
    else:
        known.pop("fused", None)
    return with_columns(rows, known, cluster)


def with_columns(rows: LabelledRows, systems: dict[str, npt.NDArray[Any]], cluster: str) -> Predictions:
    """Predictions of any systems (N, C) for labelled rows, with the columns of the manifest beside them."""
    names, values = _clusters(rows.utterances, cluster)
    extra = {name for utterance in rows.utterances for name in utterance.extra if ":" not in name}
    told = {name for name in ("lang", "dialogue") if any(getattr(one, name) for one in rows.utterances)}
    columns = {"speaker", "transcript", *told, *extra} - {*RESERVED, *systems}
    return Predictions(
        ids=tuple(utterance.id for utterance in rows.utterances),
        targets=main_emotion(rows.targets),
        emotions=rows.emotions,
        clusters=values,
        cluster_name=names,
        scores=systems,
        extra={name: tuple(_cell(utterance, name) for utterance in rows.utterances) for name in sorted(columns)},
    )


def _with_both(systems: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The systems, with fusion left out for utterances with one modality."""
    both = ~np.isnan(systems["speech"] + systems["text"]).any(axis=1)
    fusions = [name for name in ("late", "fused") if name in systems]
    cut = {name: np.where(both[:, None], systems[name], np.nan) for name in fusions if both.any()}
    return {name: scores for name, scores in systems.items() if name not in fusions} | cut


def _cell(utterance: Utterance, name: str) -> str | None:
    return getattr(utterance, name) if name in _FIELDS else utterance.extra.get(name)


def _clusters(utterances: Sequence[Utterance], cluster: str) -> tuple[ClusterName, tuple[str, ...]]:
    """Unit of resampling for each utterance; the utterance itself if the column has gaps."""
    if cluster not in ("speaker", "dialogue", "utterance"):
        raise BimodalError(f"cannot cluster intervals by '{cluster}', expected speaker, dialogue or utterance")
    values = [utterance.id if cluster == "utterance" else getattr(utterance, cluster) for utterance in utterances]
    if any(value is None for value in values):
        return "utterance", tuple(utterance.id for utterance in utterances)
    return cluster, tuple(values)  # type: ignore[return-value]


def extract_manifest(
    model: str | Path, manifest: ManifestSource, out: str | Path, *, threads: int = 0, progress: Progress = plain
) -> tuple[str, ...]:
    """Write embeddings and logits of all utterances of a manifest, in its order; NaN if a modality is missing.

    Args:
        model: Model folder.
        manifest: CSV or JSON Lines; labels are not needed.
        out: `.safetensors` or `.npz`.
        threads: As in `Recognizer`.
        progress: Wraps iterables with a bar.

    Returns:
        Names and shapes of the arrays.

    Raises:
        BimodalError: A problem with the model, the manifest, a recording or the file name.
    """
    out = Path(out)
    if out.suffix not in (".safetensors", ".npz"):
        raise BimodalError(f"{out}: expected a name that ends in .safetensors or .npz")
    recognizer = Recognizer(model, threads=threads)
    read = open_manifest(manifest)
    clips = manifest_clips(recognizer, read, read.utterances)
    found: list[dict[str, Floats]] = []
    for first in progress(range(0, len(clips), _AT_ONCE), "extracting"):
        found.append(recognizer.extract(clips[first : first + _AT_ONCE]).arrays())
    arrays = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    _write_arrays(out, arrays, [utterance.id for utterance in read.utterances])
    return tuple(f"{name} {array.shape}" for name, array in arrays.items())


def _write_arrays(out: Path, arrays: dict[str, npt.NDArray[Any]], ids: list[str]) -> None:
    """Arrays and the utterances' ids in one file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    import msgspec
    from safetensors.numpy import save_file

    with atomic_write(out) as unfinished:
        if out.suffix == ".npz":
            with unfinished.open("wb") as stream:
                np.savez(stream, **{"ids": np.array(ids), **arrays})  # type: ignore[arg-type]
        else:
            save_file(arrays, unfinished, metadata={"ids": msgspec.json.encode(ids).decode()})
