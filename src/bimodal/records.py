"""Records that the layers above pass to one another; frozen, keyword-only dataclasses."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any, Final, Literal

from bimodal.errors import BimodalError, Message, find_message

Statistic = Literal["mean", "std", "p10", "p50", "p90"]
TranscriptSource = Literal["given", "asr"]
CoverageBy = Literal["emotion", "marginal"]

UNKNOWN: Final = -100.0
"""Logit of an emotion that a network never saw in training."""

ADDED_SETTINGS: Final = {"accumulate": 1}
"""Settings of training that came later, with the value that holds where they are not named."""

LAW: Final = (
    "In the EU, inferring emotions of a person from their voice in the areas of work and education is forbidden "
    "except for medical or safety reasons (AI Act, Art. 5(1)(f)); a classroom is education. Other uses are high-risk, "
    "and persons exposed must be told (Art. 50(3))."
)
"""The law, as help, server and model cards print it."""

MOST_SPEAKERS: Final = 20
"""Most speakers that are distinguished in one recording."""

LONGEST_NAME: Final = 100
LONGEST_TEXT: Final = 20_000
"""Characters that a name and another text of a model may have."""

_SHOWN_CHARACTERS: Final = 60
_MOST_ALIKE: Final = 3
_LONGEST_MESSAGE: Final = 1000
_NAMES: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\d+(?:\.\d+)?")

_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal acts upon: control characters but tab and newline, and those that turn the direction of text."""


def shortened(text: str, longest: int = 200) -> str:
    """Text from a stranger's file as a sentence may hold it: its middle is left out where it is long.

    Example:
        >>> shortened("a" * 1000, 9)
        'aaa...aaa'
    """
    half = (longest - 3) // 2
    return text if len(text) <= longest else f"{text[:half]}...{text[-half:]}"


def digested(settings: Any) -> dict[str, Any]:
    """Settings as digests of runs take them: an added setting counts only if it is set, so that older digests hold.

    Args:
        settings: A dataclass of settings, also of nested ones.
    """

    def kept(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in pairs if ADDED_SETTINGS.get(name, ...) != value}

    return asdict(settings, dict_factory=kept)


def text_fault(field: str, text: str, longest: int) -> str:
    r"""What is wrong with a text that people will read; empty if nothing is.

    Example:
        >>> text_fault("name", "a\x1b[31m", 100), text_fault("name", "a" * 101, 100)
        ('name holds control characters', 'name has 101 characters, expected at most 100')
    """
    if not text.strip():
        return f"{field} is empty"
    if len(text) > longest:
        return f"{field} has {len(text)} characters, expected at most {longest}"
    broken = longest <= LONGEST_NAME and "\n" in text
    return f"{field} holds control characters" if broken or printable(text) != text else ""


def named_fault(settings: Any) -> str:
    r"""What is wrong with the name or licence that a model would get by these settings; empty if nothing is.

    Example:
        >>> from types import SimpleNamespace
        >>> named_fault(SimpleNamespace(name="a\nb\x07")), named_fault(SimpleNamespace(name="a", licence=""))
        ('name holds control characters', '')
    """
    texts = {field: getattr(settings, field, None) for field in ("name", "licence", "trained_on")}
    given = {field: text for field, text in texts.items() if text}
    faults = (text_fault(name, text, LONGEST_NAME if name == "name" else LONGEST_TEXT) for name, text in given.items())
    return next(filter(None, faults), "")


def printable(text: str) -> str:
    r"""Text without what a terminal acts upon, which may come from a stranger's file: each such character becomes `?`.

    Example:
        >>> printable("a\x1b[31mb")
        'a?[31mb'
    """
    return _UNPRINTABLE.sub("?", text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Utterance:
    """One line of a manifest: speech, a transcript, or both.

    Attributes:
        id: Unique within the manifest.
        path: Recording, relative to the manifest's folder with `/` as separator; None for a text-only row.
        start: Start of the utterance in the recording, in seconds; None for the start of the recording.
        end: End of the utterance, in seconds; None for the end of the recording.
        transcript: The words; None for a speech-only row. An empty cell is read as None.
        emotion: Label of the corpus, not yet mapped; None for an unlabelled row.
        speaker: Who speaks. A split keeps each speaker in one part.
        split: `train`, `dev` or `test`; None if the corpus has no official split.
        lang: Language of the words as ISO 639-1 code.
        dialogue: Conversation of the utterance; confidence intervals may be clustered by it.
        extra: All other columns, as text.
    """

    id: str
    path: str | None = None
    start: float | None = None
    end: float | None = None
    transcript: str | None = None
    emotion: str | None = None
    speaker: str | None = None
    split: str | None = None
    lang: str | None = None
    dialogue: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A list of utterances and the file it was read from.

    Attributes:
        path: The manifest file. Paths of utterances are relative to its folder.
        utterances: In file order.
        columns: Column names in file order; for JSON Lines in order of first appearance.
    """

    path: Path
    utterances: tuple[Utterance, ...]
    columns: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The folder to which paths of utterances are relative."""
        return self.path.parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """An earlier utterance of the same conversation.

    Attributes:
        transcript: The words; a turn without words is skipped.
        speaker: Who said it; None if unknown.
    """

    transcript: str | None
    speaker: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One utterance to recognise: audio, a transcript, or both.

    Attributes:
        audio: A path, bytes, a file object, samples (T,), (T, C) or (C, T), a pair `(samples, rate)`, or a mapping with
            `array` and `sampling_rate`; `bimodal.audio.inputs.as_audio` lists all forms. None for a transcript alone.
        sampling_rate: Of samples, in Hz. Leave it out for encoded audio and where `audio` holds the rate.
        transcript: The words; None or blank for speech alone.
        transcript_confidence: Confidence of a speech recogniser in the words, 0 to 1; None if a person wrote them.
        language: Of the words, as ISO 639-1 code; None if unknown. The result repeats it.
        start: Start in a file, in seconds; None for its beginning.
        end: End in a file, in seconds; None for its end.
        track: Number of the sound track of a file, from 1; None for the one that the file marks as default.
        columns: Feature values in place of audio, for a model that was trained on feature columns; in its order.
        speaker: Who speaks. The result repeats it, and speaker statistics are kept by it.
        before: Earlier turns, oldest first. A model with `text.context` reads them; it compares `speaker` to know
            whether another person said them.
    """

    audio: Any = None
    sampling_rate: int | None = None
    transcript: str | None = None
    transcript_confidence: float | None = None
    language: str | None = None
    start: float | None = None
    end: float | None = None
    track: int | None = None
    columns: Sequence[float] | None = None
    speaker: str | None = None
    before: Sequence[Turn] = ()

    def __post_init__(self) -> None:
        """Refuse words and a confidence of another type.

        Raises:
            BimodalError: The words are no text, or the confidence is not from 0 to 1.
        """
        words, share = self.transcript, self.transcript_confidence
        if words is not None and not isinstance(words, str):
            raise BimodalError(f"transcript is of type {type(words).__name__}, expected text")
        if share is not None and not (isinstance(share, Real) and 0 <= share <= 1):
            raise BimodalError(f"transcript_confidence is {share!r:.40}, expected a number from 0 to 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeInfluence:
    """How much a stretch of speech changed the score.

    Attributes:
        start: Start in seconds, on the same clock as `Recognition.start`.
        end: End in seconds.
        influence: Score of the recognised emotion minus its score without this stretch, -1 to 1.
    """

    start: float
    end: float
    influence: float


@dataclass(frozen=True, kw_only=True, slots=True)
class WordInfluence:
    """How much a word changed the score.

    Attributes:
        text: The word with its punctuation; in a long text several words together.
        influence: Score of the recognised emotion minus its score without the word, -1 to 1.
    """

    text: str
    influence: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Why a model gave its result: how the score changes when parts of the input are left out.

    A positive influence speaks for the emotion, a negative one against it. `times` cover the utterance without gaps, so
    they can be drawn as bars below the waveform. `words` joined by spaces are the transcript.

    Attributes:
        emotion: The emotion that is explained; that of the result before any smoothing.
        score: Its score.
        voice: Its score minus its score from the words alone; None unless speech and words were given.
        times: Stretches of about half a second; empty without speech, or for speech shorter than two stretches.
        words: In spoken order; empty without words.
        divergence: Jensen-Shannon divergence of the scores from speech and from words, in bits: 0 for equal scores, 1
            for scores that share no emotion. None unless both were given.
        contradicts: True if speech alone and words alone give different emotions.
        sentences: The explanation as sentences.
    """

    emotion: str
    score: float
    voice: float | None
    times: tuple[TimeInfluence, ...]
    words: tuple[WordInfluence, ...]
    divergence: float | None
    contradicts: bool
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictionSet:
    """The emotions among which the right one is with a given coverage.

    Coverage is promised for speakers (for words alone: dialogues and texts) like those of the calibration, which the
    model card names, and for no other corpus.

    Attributes:
        emotions: Ordered by score; that of the result comes first, whatever its score.
        coverage: How often the right emotion is in such a set, above 0 and below 1.
        by: `emotion` if each emotion has that coverage alone, as far as the calibration has rows of it; `marginal` if
            all emotions have it together.
        note: One sentence: why the set holds all emotions, or which emotions cannot have the coverage alone; None
            otherwise.
    """

    emotions: tuple[str, ...]
    coverage: float
    by: CoverageBy
    note: str | None = None

    def __str__(self) -> str:
        return f"with {100 * self.coverage:g} % coverage: {', '.join(self.emotions)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognition:
    """The emotion expressed in an utterance, as the model perceives it.

    Attributes:
        emotion: The most probable emotion; None if the model abstained or failed.
        scores: Calibrated probability of each emotion; sums to 1. Empty if `error` is set.
        speech_scores: The same from speech alone, of the emotions in the speech training data; None without speech.
        text_scores: The same from the words alone, of the emotions in the text training data; None without words.
        gate: Weight of speech against words, 0 to 1; None unless both were given.
        start: Start in the recording, in seconds; None for words alone.
        end: End in the recording, in seconds; None for words alone.
        speaker: Who speaks; None if unknown.
        transcript: The words that were used; None if there were none.
        transcript_source: `given` by the caller, or `asr` for automatic speech recognition.
        transcript_confidence: Confidence of the speech recogniser, 0 to 1; None unless `asr`.
        transcript_language: Language of the words as ISO 639-1 code; None if unknown.
        abstained: True if there is no `emotion`; `reason` says why.
        reason: One sentence; None unless `abstained`.
        model: Name of the model.
        revision: Digest of the model's weights and configuration.
        warnings: Reasons to doubt the result, one sentence each: a recording that is cut or damaged, short, noisy or
            clipped speech, another language, or an input unlike the training data. Over time, the last result says
            that the recording is cut or damaged.
        explanation: Which parts of the input led to the result; None unless `explain=True`.
        error: Why the clip could not be recognised, in one sentence; None if it was. Only a batch with `strict=False`
            returns such a result; `reason` holds the same sentence.
        arousal: Expected arousal, -1 to 1, derived from `scores` and published positions of the emotions
            (`bimodal.data.dimensions`): it tells no more than the scores. None if there is no `emotion`, or if an
            emotion of the model has no published position.
        valence: The same for valence, from unpleasant (-1) to pleasant (1).
        prediction_set: The emotions among which the right one is with the coverage that was asked for; None if none
            was, or if there is no `emotion`.
        adapted_to: Unlabelled recordings that the model was adapted to; None if it was not adapted.
        speaker_confidence: That it is this speaker and none of the others in the recording, 0 to 1; None unless the
            speakers were distinguished by their voices, and where one alone was found.
        overlap: Share of the result, 0 to 1, in which another speaker speaks, too; None unless the speakers were told
            apart by their voices.
        messages: Codes and values of the sentences in `reason`, `warnings`, `explanation` and `prediction_set`, made of
            them, as far as `bimodal.errors` has codes.
    """

    emotion: str | None
    scores: Mapping[str, float]
    speech_scores: Mapping[str, float] | None
    text_scores: Mapping[str, float] | None
    gate: float | None
    start: float | None = None
    end: float | None = None
    speaker: str | None = None
    transcript: str | None = None
    transcript_source: TranscriptSource | None = None
    transcript_confidence: float | None = None
    transcript_language: str | None = None
    abstained: bool = False
    reason: str | None = None
    model: str = ""
    revision: str = ""
    warnings: tuple[str, ...] = ()
    explanation: Explanation | None = None
    error: str | None = None
    arousal: float | None = None
    valence: float | None = None
    prediction_set: PredictionSet | None = None
    adapted_to: str | None = None
    speaker_confidence: float | None = None
    overlap: float | None = None
    messages: tuple[Message, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a number that is NaN or infinite: a result never holds one. Find the codes of the sentences."""
        note = None if self.prediction_set is None else self.prediction_set.note
        why = () if self.explanation is None else self.explanation.sentences
        told = (find_message(sentence) for sentence in (self.reason, *self.warnings, *why, note) if sentence)
        object.__setattr__(self, "messages", tuple(filter(None, told)))
        tables = (self.scores, self.speech_scores, self.text_scores)
        numbers = [number for table in tables if table for number in table.values()]
        numbers += [self.gate or 0.0, self.start or 0.0, self.end or 0.0, self.transcript_confidence or 0.0]
        numbers += [self.arousal or 0.0, self.valence or 0.0, self.speaker_confidence or 0.0, self.overlap or 0.0]
        if not all(map(math.isfinite, numbers)):
            raise ValueError("a score or time of the result is NaN or infinite, expected finite numbers")

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and numbers, ready for JSON; the schema of CLI, Python and HTTP."""
        return asdict(self)

    def __str__(self) -> str:
        return ", ".join(_facts(self))

    def __repr__(self) -> str:
        return f"<Recognition: {self}>"

    def _repr_html_(self) -> str:
        """A small table of scores, which notebooks show."""
        from html import escape  # local: the command line starts without it

        bar = '<div style="width:{:.0f}px;height:0.8em;background:#4a7bd0"></div>'
        rows = (
            f"<tr><td>{escape(emotion)}</td><td>{score:.2f}</td><td>{bar.format(100 * score)}</td></tr>"
            for emotion, score in sorted(self.scores.items(), key=lambda pair: -pair[1])
        )
        return f"<div><strong>{escape(str(self))}</strong><table>{''.join(rows)}</table></div>"


def failed_recognition(
    error: str, *, speaker: str | None = None, transcript: str | None = None, model: str = "", revision: str = ""
) -> Recognition:
    """The result of a clip that could not be recognised, for a batch that continues.

    Args:
        error: Why, in one sentence.
        speaker: Of the clip.
        transcript: Of the clip.
        model: As in `Recognition`.
        revision: As in `Recognition`.

    Example:
        >>> failed_recognition("a.wav: no such file")
        <Recognition: error (a.wav: no such file)>
    """
    return Recognition(
        emotion=None,
        scores={},
        speech_scores=None,
        text_scores=None,
        gate=None,
        speaker=speaker,
        transcript=transcript,
        abstained=True,
        reason=error,
        model=model,
        revision=revision,
        error=error,
    )


def _facts(result: Recognition) -> Iterator[str]:
    """The main facts of a result, a few words each."""
    if result.error is not None:
        yield f"error ({result.error})"
    elif result.emotion is None:
        yield f"no emotion ({result.reason})"
    else:
        yield f"{result.emotion} {result.scores.get(result.emotion, math.nan):.2f}"
    if result.start is not None and result.end is not None:
        yield f"{result.start:.2f} to {result.end:.2f} s"
    if result.speaker is not None:
        yield f"speaker {result.speaker!r}"
    if result.transcript:
        cut = len(result.transcript) > _SHOWN_CHARACTERS
        yield repr(result.transcript[: _SHOWN_CHARACTERS - 3] + "..." if cut else result.transcript)
    if result.warnings:
        yield f"{len(result.warnings)} warning{'s' if len(result.warnings) > 1 else ''}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A problem with an input and its place.

    Attributes:
        where: `file:line` or a path.
        message: What was found, what was expected, and what to do.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {shortened(self.message, _LONGEST_MESSAGE)}"


def describe_problems(problems: Sequence[Problem], shown: int = 20) -> str:
    r"""The first problems, one on each line, and the number of the others.

    Problems that differ in names and numbers alone have one cause. If there are more than three of them, the first
    stands for all.

    Example:
        >>> describe_problems([Problem(where="a.csv:2", message="no emotion")] * 3, shown=1)
        'a.csv:2: no emotion\n(and 2 more problems)'
        >>> missing = [Problem(where=f"a.csv:{line}", message=f"no file '{line}.wav'") for line in range(2, 99)]
        >>> describe_problems(missing)
        "a.csv:2: no file '2.wav' (and 96 more like this, in lines 3, 4, 5, ...)"
    """
    causes: dict[str, list[Problem]] = {}
    for problem in problems:
        causes.setdefault(_NAMES.sub("", problem.message), []).append(problem)
    lines = [line for alike in causes.values() for line in _described(alike)]
    rest = len(lines) - shown
    return "\n".join([*lines[:shown], f"(and {rest} more problems)"] if rest > 0 else lines)


def _described(alike: Sequence[Problem]) -> list[str]:
    """Problems of one cause; of more than three, the first and where the next ones are."""
    if len(alike) <= _MOST_ALIKE:
        return [str(problem) for problem in alike]
    places = [problem.where.rpartition(":")[2] for problem in alike[1:4]]
    where = f", in lines {', '.join(places)}, ..." if all(map(str.isdecimal, places)) else ""
    return [f"{alike[0]} (and {len(alike) - 1} more like this{where})"]
