"""Answers of a model to the clips of a manifest, as they are and under every change of the tests."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import numpy as np

from bimodal.arrays import Doubles, Integers
from bimodal.audio.decode import SAMPLING_RATE, Decoded, Signal, load_signal
from bimodal.audio.inputs import decode_clip
from bimodal.audio.recordings import find_recordings
from bimodal.data.batches import main_emotion
from bimodal.errors import AudioError, BimodalError
from bimodal.evaluation.model_tests.conditions import (
    CONDITIONS,
    Surroundings,
    condition_detail,
    missing_reason,
)
from bimodal.evaluation.model_tests.pitch import mean_pitch
from bimodal.evaluation.model_tests.records import Disturbed, Material, cell
from bimodal.evaluation.model_tests.words import MAKERS, WORD_CONDITIONS, ChangedWords, recognised_words
from bimodal.evaluation.predict import Progress, manifest_clips
from bimodal.evaluation.predictions import Predictions
from bimodal.evaluation.rows import choose_rows
from bimodal.inference.model_folder import LABEL_MATCHED, PAIRING
from bimodal.inference.recognizer import Recognizer
from bimodal.records import Clip, Manifest, Recognition, Utterance
from bimodal.training.rows import LabelledRows, label_rows

if TYPE_CHECKING:
    from bimodal.asr.timed_words import Asr

_AT_ONCE: Final = 16
_OTHERS: Final = 40  # clips of other speakers that babble is drawn from
_SOUND_SECONDS: Final = 60.0  # of each of the caller's sounds; longer ones are cut

Notes = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """Which clips of a manifest are recognised, and under which changes.

    Attributes:
        split: As in `evaluate_model`.
        emotions: Emotions to test; empty for all. Other clips are left out, other scores set aside.
        limit: Most clips; 0 for all.
        robustness_clips: Most clips that are recognised again under each change; 0 leaves robustness out.
        sounds: Folders by kind, of `SOUNDS`.
        asr: Speech recognition; None skips its test.
        seed: Of the draw of clips and of the changes.
    """

    split: str = ""
    emotions: tuple[str, ...] = ()
    limit: int = 0
    robustness_clips: int = 200
    sounds: Mapping[str, Path] = field(default_factory=dict)
    asr: "Asr | None" = None
    seed: int = 0


def recognise(
    recognizer: Recognizer, read: Manifest, options: RunOptions, progress: Progress
) -> tuple[Material, Notes]:
    """Answers to the clips of a manifest, each decoded once, and to some of them under every change.

    Args:
        recognizer: The model.
        read: The manifest.
        options: Which clips and changes.
        progress: Wraps iterables with a bar.

    Returns:
        What the tests look at; notes on rows that are left out.

    Raises:
        BimodalError: A problem with the manifest, a recording or a folder of sounds.
    """
    around = Surroundings(sounds={kind: load_sounds(folder, kind) for kind, folder in options.sounds.items()})
    rows, notes = _rows(recognizer, read, options)
    targets = main_emotion(rows.targets)
    again = draw(rows.utterances, targets, options.robustness_clips, options.seed) if options.robustness_clips else []
    clips = manifest_clips(recognizer, read, rows.utterances)
    run = _Run(recognizer=recognizer, rows=rows, targets=targets, again=again, emotions=_columns(recognizer, options))
    scores, pitch, kept = run.clean(clips, progress)
    material = Material(
        predictions=run.predictions(scores),
        utterances=rows.utterances,
        pitch=pitch,
        pitch_reason="the model uses no recordings",
    )
    if again:
        notes += [f"robustness is tested on {len(again)} of {len(clips)} clips, drawn by emotion and speaker"]
        material = _under_changes(material, run, kept, around, options, progress)
    return material, tuple(notes)


def load_sounds(folder: Path, kind: str) -> list[Signal]:
    """The recordings of a folder at 16 kHz, those with any sound, each at most a minute.

    Raises:
        BimodalError: There is no such folder, or no usable recording in it.
    """
    if not folder.exists():
        raise BimodalError(f"{folder}: no such folder; --{kind} takes a folder of recordings of {kind}")
    signals = [load_signal(one.path, end=_SOUND_SECONDS) for one in find_recordings([folder])]
    heard = [signal for signal in signals if float(np.abs(signal).max(initial=0.0)) > 0]
    if not heard:
        raise BimodalError(f"{folder}: all recordings are silent; --{kind} takes recordings of {kind}")
    return heard


def _columns(recognizer: Recognizer, options: RunOptions) -> tuple[str, ...]:
    """The emotions that are tested, in the model's order."""
    unknown = [name for name in options.emotions if name not in recognizer.emotions]
    if unknown or len(options.emotions) == 1:
        found = f"unknown emotion '{unknown[0]}'" if unknown else "one emotion"
        raise BimodalError(f"--emotions: {found}, expected two or more of {', '.join(recognizer.emotions)}")
    return tuple(name for name in recognizer.emotions if name in (options.emotions or recognizer.emotions))


def _rows(recognizer: Recognizer, read: Manifest, options: RunOptions) -> tuple[LabelledRows, list[str]]:
    """The labelled rows that are tested, and notes on the others."""
    chosen, notes = choose_rows(read, options.split)
    real = [row for row in chosen if row.extra.get(PAIRING) != LABEL_MATCHED]
    if len(real) < len(chosen):
        notes.append(f"{len(chosen) - len(real)} rows left out: their speech and text were paired by label")
    config = recognizer.config
    rows = label_rows(real, config.vocabulary, recognizer.emotions, multiple_labels="drop", folder=recognizer.folder)
    notes += [f"{count} rows left out: {reason}" for reason, count in rows.dropped.items()]
    targets, wanted = main_emotion(rows.targets), _columns(recognizer, options)
    inside = [row for row, target in enumerate(targets) if recognizer.emotions[target] in wanted]
    if len(inside) < len(targets):
        notes.append(f"tested on {', '.join(wanted)} alone; scores of other emotions are set aside")
    if not inside:
        raise BimodalError(f"{read.path}: no row is labelled {' or '.join(wanted)}; give other --emotions")
    rows = rows.subset(inside)
    if options.limit and options.limit < len(inside):
        rows = rows.subset(draw(rows.utterances, main_emotion(rows.targets), options.limit, options.seed))
        notes.append(f"{options.limit} of {len(inside)} clips, drawn by emotion and speaker, seed {options.seed}")
    return rows, notes


def draw(utterances: Sequence[Utterance], targets: Integers, count: int, seed: int) -> list[int]:
    """Rows drawn at random so that emotions, and speakers within them, are as even as the data allow.

    Args:
        utterances: N rows.
        targets: (N,) their emotions.
        count: Most rows to draw.
        seed: Of the draw.

    Returns:
        Positions, in ascending order.

    Example:
        >>> rows = [Utterance(id=str(number), speaker="Ann" if number < 6 else "Bob") for number in range(8)]
        >>> draw(rows, np.array([0, 0, 0, 0, 0, 1, 0, 1]), 4, 0)[-3:]
        [5, 6, 7]
    """
    order = np.random.default_rng(seed).permutation(len(utterances)).tolist()
    cells: dict[tuple[int, str | None], list[int]] = {}
    for row in order:
        cells.setdefault((int(targets[row]), utterances[row].speaker), []).append(row)
    speakers: dict[int, int] = {}
    ranked = []
    for (target, _), rows in cells.items():
        place = speakers[target] = speakers.get(target, -1) + 1
        ranked += [(turn, place, target, row) for turn, row in enumerate(rows)]
    return sorted(row for *_, row in sorted(ranked)[:count])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Run:
    """A model and the clips that it is tested on.

    Attributes:
        recognizer: The model.
        rows: N labelled rows.
        targets: (N,) their emotions, as the model counts them.
        again: Rows that are recognised again under each change.
        emotions: Those that are tested, in the model's order.
    """

    recognizer: Recognizer
    rows: LabelledRows
    targets: Integers
    again: Sequence[int]
    emotions: tuple[str, ...]

    def clean(self, clips: Sequence[Clip], progress: Progress) -> tuple[dict[str, Doubles], Doubles | None, list[Clip]]:
        """Scores of all clips, their pitch, and the decoded clips that are recognised again."""
        results: list[Recognition] = []
        hertz: list[float] = []
        kept: dict[int, Clip] = {}
        again = set(self.again)
        for first in progress(range(0, len(clips), _AT_ONCE), "recognising the clips"):
            decoded = [self._decoded(clip) for clip in clips[first : first + _AT_ONCE]]
            results += self.recognizer.recognize_batch(decoded)
            hertz += [_pitch(clip) for clip in decoded]
            kept |= {first + place: clip for place, clip in enumerate(decoded) if first + place in again}
        takes_audio = self.recognizer.model.takes_audio
        return self._systems(results), np.array(hertz) if takes_audio else None, [kept[row] for row in self.again]

    def _decoded(self, clip: Clip) -> Clip:
        if clip.audio is None or not self.recognizer.model.takes_audio:
            return clip
        return replace(clip, audio=decode_clip(clip), start=None, end=None, track=None)

    def scores(self, clips: Sequence[Clip]) -> dict[str, Doubles]:
        """Scores (n, C) of some clips by system."""
        return self._systems(self.recognizer.recognize_batch(clips))

    def _systems(self, results: Sequence[Recognition]) -> dict[str, Doubles]:
        told: dict[str, list[Any]] = {
            "speech": [one.speech_scores for one in results],
            "text": [one.text_scores for one in results],
            "fused": [None if one.abstained else one.scores for one in results],
        }
        return {system: _stacked(scores, self.emotions) for system, scores in told.items()}

    def predictions(self, scores: dict[str, Doubles]) -> Predictions:
        """The scores of all clips, of the systems that answer any; fused where there are two of them."""
        known = {name: one for name, one in scores.items() if not np.isnan(one).all()}
        if not {"speech", "text"} <= set(known):
            known.pop("fused", None)
        if not known:
            raise BimodalError("the model answers none of the clips: they have no input that it uses")
        names = self.recognizer.emotions
        return Predictions(
            ids=tuple(row.id for row in self.rows.utterances),
            targets=np.array([self.emotions.index(names[target]) for target in self.targets], np.int64),
            emotions=self.emotions,
            clusters=tuple(row.speaker or row.id for row in self.rows.utterances),
            cluster_name="speaker" if all(row.speaker for row in self.rows.utterances) else "utterance",
            scores=known,
        )


def _pitch(clip: Clip) -> float:
    return mean_pitch(clip.audio.signal) if isinstance(clip.audio, Decoded) else float("nan")


def _stacked(scores: Sequence[Mapping[str, float] | None], emotions: Sequence[str]) -> Doubles:
    """Scores (n, C) of some emotions, scaled to sum 1; NaN if missing."""
    absent = [np.nan] * len(emotions)
    values = np.array([absent if one is None else [one.get(name, 0.0) for name in emotions] for one in scores])
    scaled: Doubles = values / np.maximum(values.sum(axis=1, keepdims=True), 1e-30)
    empty = scaled.sum(axis=1) < 1 / 2  # all its score was on emotions that are set aside
    return np.where(empty[:, None], 1 / len(emotions), scaled)


def _under_changes(
    material: Material,
    run: _Run,
    clips: Sequence[Clip],
    around: Surroundings,
    options: RunOptions,
    progress: Progress,
) -> Material:
    """The material with answers under each change that can be run."""
    rows = np.array(run.again, np.int64)
    jobs, unusable = _audio_jobs(run, clips, around, options)
    found = _recognised(jobs, run, rows, progress, "robustness")
    word_jobs, no_words = _word_jobs(material, run, clips, rows, options, progress)
    found |= _recognised(word_jobs, run, rows, progress, "changed words")
    failed = {name: one for name, one in found.items() if isinstance(one, str)}
    disturbed = {name: one for name, one in found.items() if isinstance(one, Disturbed)}
    return replace(material, disturbed=disturbed, unusable={**unusable, **no_words, **failed})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """A change, as what makes the clips of a range of positions."""

    clips: Callable[[range], list[Clip]]
    detail: str


def _recognised(
    jobs: Mapping[str, _Job], run: _Run, rows: Integers, progress: Progress, label: str
) -> dict[str, Disturbed | str]:
    """Answers of each job; a sentence for one whose change is impossible."""
    starts = range(0, len(rows), _AT_ONCE)
    steps = [(name, range(first, min(first + _AT_ONCE, len(rows)))) for name in jobs for first in starts]
    parts: dict[str, list[dict[str, Doubles]]] = {name: [] for name in jobs}
    failed: dict[str, Disturbed | str] = {}
    for name, places in _wrapped(progress, steps, label):
        if name in failed:
            continue
        try:
            parts[name].append(run.scores(jobs[name].clips(places)))
        except AudioError:
            raise
        except BimodalError as error:
            failed[name] = str(error)
    done = {name: _joined(rows, found, jobs[name].detail) for name, found in parts.items() if name not in failed}
    return done | failed


def _wrapped(progress: Progress, steps: Sequence[Any], label: str) -> Iterable[Any]:
    return progress(steps, label) if steps else ()


def _joined(rows: Integers, parts: Sequence[Mapping[str, Doubles]], detail: str) -> Disturbed:
    scores = {system: np.concatenate([part[system] for part in parts]) for system in parts[0]}
    return Disturbed(rows=rows, scores=scores, detail=detail)


def _audio_jobs(
    run: _Run, clips: Sequence[Clip], around: Surroundings, options: RunOptions
) -> tuple[dict[str, _Job], dict[str, str]]:
    """The changes of recordings that can be run, and why others cannot."""
    spoken = [clip for clip in clips if isinstance(clip.audio, Decoded)]
    if not spoken:
        return {}, dict.fromkeys(CONDITIONS, "no clip has a recording that the model uses")
    babble = Surroundings(sounds=around.sounds, others=[clip.audio.signal for clip in spoken[:_OTHERS]])
    babble = babble if len({clip.speaker for clip in spoken[:_OTHERS]}) > 1 else around
    reasons = {name: missing_reason(name, one, babble) for name, one in CONDITIONS.items()}
    jobs = {
        name: _Job(clips=_changer(name, clips, babble, spoken, options.seed), detail=condition_detail(one, babble))
        for name, one in CONDITIONS.items()
        if not reasons[name]
    }
    return jobs, {name: reason for name, reason in reasons.items() if reason}


def _changer(
    name: str, clips: Sequence[Clip], around: Surroundings, spoken: Sequence[Clip], seed: int
) -> Callable[[range], list[Clip]]:
    """What changes the recordings of some clips; the change of a clip depends on seed, change and clip alone."""
    condition = CONDITIONS[name]

    def changed(place: int) -> Clip:
        clip = clips[place]
        if not isinstance(clip.audio, Decoded):
            return clip
        others = [one.audio.signal for one in spoken[:_OTHERS] if one.speaker != clip.speaker] if around.others else []
        rng = np.random.default_rng([seed, crc32(name.encode()), place])
        signal = condition.change(clip.audio.signal, replace(around, others=others), rng)
        usable = signal if len(signal) else clip.audio.signal
        return replace(clip, audio=(np.ascontiguousarray(usable, np.float32), SAMPLING_RATE))

    return lambda places: [changed(place) for place in places]


def _word_jobs(
    material: Material, run: _Run, clips: Sequence[Clip], rows: Integers, options: RunOptions, progress: Progress
) -> tuple[dict[str, _Job], dict[str, str]]:
    """The changes of words that can be run, and why others cannot."""
    if "fused" not in material.predictions.systems:
        return {}, dict.fromkeys(WORD_CONDITIONS, "the answers are not fused from speech and words")
    targets, jobs, unusable = material.targets[rows], dict[str, _Job](), dict[str, str]()
    for name in WORD_CONDITIONS:
        if name in MAKERS:
            made = MAKERS[name](clips, targets, np.random.default_rng([options.seed, crc32(name.encode())]))
        else:
            made = _by_asr(material, run, clips, rows, options, progress)
        if isinstance(made, str):
            unusable[name] = made
        else:
            jobs[name] = _Job(clips=_taker(made), detail=made.detail)
    return jobs, unusable


def _taker(made: ChangedWords) -> Callable[[range], list[Clip]]:
    return lambda places: [made.clips[place] for place in places]


def _by_asr(
    material: Material, run: _Run, clips: Sequence[Clip], rows: Integers, options: RunOptions, progress: Progress
) -> ChangedWords | str:
    """Clips with recognised words; a sentence where there is no speech recogniser or recording."""
    if options.asr is None:
        return "no speech recogniser was given (--asr-model FOLDER)"
    if not all(isinstance(clip.audio, Decoded) for clip in clips):
        return "some clips have no recording"
    languages = [cell(run.rows.utterances[row], "lang") for row in rows]
    shown = progress(list(zip(clips, languages, strict=True)), "recognising the words")
    return recognised_words(((clip, clip.audio.signal, language) for clip, language in shown), options.asr)


def measured_pitch(read: Manifest, utterances: Sequence[Utterance], progress: Progress) -> tuple[Doubles | None, str]:
    """Pitch of each row's recording, for scores of another model; None and the reason if a recording is missing."""
    missing = [row for row in utterances if row.path is None or not (read.folder / row.path).is_file()]
    if missing:
        return None, f"{len(missing)} of {len(utterances)} rows have no recording to measure the pitch of"
    found = [
        mean_pitch(load_signal(read.folder / str(row.path), start=row.start, end=row.end))
        for row in progress(list(utterances), "measuring the pitch")
    ]
    return np.array(found), ""
