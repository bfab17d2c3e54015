"""Records: the frozen, keyword-only nouns that the floors above hand to one another."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

Statistic = Literal["mean", "std", "p10", "p50", "p90"]
TranscriptSource = Literal["given", "asr"]

UNKNOWN: Final = -100.0
"""Logit of an emotion that a network was never shown."""

LAW: Final = (
    "In the EU, inferring emotions of a person from their voice in the areas of work and education is forbidden "
    "except for medical or safety reasons (AI Act, Art. 5(1)(f)); a classroom is education. Other uses are high-risk, "
    "and persons exposed must be told (Art. 50(3))."
)
"""The sentence on the law that help, server and model cards repeat."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Utterance:
    """One line of a manifest: a stretch of speech, its words, or both.

    Attributes:
        id: Unique within the manifest.
        path: Recording, relative to the manifest's folder with `/` as separator; None for a text-only row.
        start: Where the utterance begins in the recording, in seconds; None for its beginning.
        end: Where it ends, in seconds; None for the end of the recording.
        transcript: The words; None for a speech-only row (an empty cell means absent, too).
        emotion: The corpus's own label, unmapped; None where unlabelled.
        speaker: Who speaks; what splits keep apart.
        split: `train`, `dev` or `test`; None where the corpus has no official split.
        lang: ISO 639-1 language code of the words.
        dialogue: Conversation that the utterance belongs to; intervals may be clustered by it.
        extra: Every other column, as text.
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
        path: The manifest file; utterance paths are relative to its folder.
        utterances: In file order.
        columns: Column names in file order (for JSON Lines: in order of first appearance).
    """

    path: Path
    utterances: tuple[Utterance, ...]
    columns: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The folder that utterance paths are relative to."""
        return self.path.parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """Something that was said before, in the same conversation.

    Attributes:
        transcript: The words; a turn without any is passed over.
        speaker: Who said it; None where unknown.
    """

    transcript: str | None
    speaker: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """One thing to recognise: a voice, words, or both.

    Attributes:
        audio: A file, or a signal (T,) of floating-point samples in [-1, 1]; None for words alone.
        sampling_rate: Of the signal, in Hz; needed with a signal, and only then.
        transcript: The words; None or blank for speech alone.
        transcript_confidence: How sure a speech recogniser was of the words, 0 to 1; None where somebody gave them.
        language: Of the words, ISO 639-1; None where unknown. Handed through to the result.
        start: Where to begin in the file, in seconds; None for its beginning.
        end: Where to stop, in seconds; None for its end.
        columns: Values of the feature columns that stand for speech in such a model, in its order.
        speaker: Who speaks; handed through to the result.
        before: What was said before, oldest first; read by a model with `text.context`, which is told by `speaker`
            whether somebody else said it.
    """

    audio: Any = None
    sampling_rate: int | None = None
    transcript: str | None = None
    transcript_confidence: float | None = None
    language: str | None = None
    start: float | None = None
    end: float | None = None
    columns: Sequence[float] | None = None
    speaker: str | None = None
    before: Sequence[Turn] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeInfluence:
    """What a stretch of the voice did for an answer.

    Attributes:
        start: Where it begins, in seconds, on the clock of the result that it belongs to.
        end: Where it ends.
        influence: Score of the claimed emotion minus what it is without this stretch, -1 to 1.
    """

    start: float
    end: float
    influence: float


@dataclass(frozen=True, kw_only=True, slots=True)
class WordInfluence:
    """What a word did for an answer.

    Attributes:
        text: The word, with its punctuation; of long texts several words together.
        influence: Score of the claimed emotion minus what it is without the word, -1 to 1.
    """

    text: str
    influence: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Why a model answered as it did, by leaving parts of its input out.

    For a plot: `times` tile the stretch that was judged, so bars of `influence` over `start` to `end` fit under the
    waveform; `words` are in the order in which they were said and, joined by spaces, the transcript. Above 0 is for
    the claimed emotion, below 0 against it.

    Attributes:
        emotion: The emotion that is explained, that of the result before any smoothing.
        score: Its score.
        voice: Its score minus what it is by the words alone; None unless both were given.
        times: Stretches of about half a second; empty where there is no voice or it is shorter than two of them.
        words: Empty where there are no words.
        divergence: Jensen-Shannon divergence between the scores of voice and words, in bits, 0 (the same) to 1 (they
            share nothing); None unless both were given.
        contradicts: True where voice and words, each by itself, name different emotions.
        sentences: The same for people.
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
class Recognition:
    """The emotion expressed in one stretch of speech, as the model perceives it.

    Attributes:
        emotion: The most probable emotion; None where the model abstained.
        scores: Calibrated probability of each emotion from all that was given; sums to 1.
        speech_scores: The same from the voice alone, of the emotions that its training showed; None where no speech was
            given.
        text_scores: The same from the words alone, likewise; None where no words were given.
        gate: How much the voice counted against the words, 0 to 1; None unless both were given.
        start: Where the stretch begins in the recording, in seconds; None for text alone.
        end: Where it ends, in seconds; None for text alone.
        speaker: Who speaks, where known.
        transcript: The words that were used; None where there were none.
        transcript_source: `given` by the caller or written by speech recognition (`asr`).
        transcript_confidence: Confidence of the speech recogniser, 0 to 1; None unless `asr`.
        transcript_language: Of the words, ISO 639-1; None where unknown.
        abstained: True where no emotion is claimed; `reason` says why.
        reason: One sentence; None unless `abstained`.
        model: Name of the model that answered.
        revision: Digest of that model's weights and configuration.
        warnings: Why the answer may be worth little: the input is short, noisy, clipped, in another language, or unlike
            what the model was trained on. A sentence each.
        explanation: Why this answer; None unless asked for.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and numbers, ready for JSON; the schema of CLI, Python and HTTP."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something wrong with an input, and where.

    Attributes:
        where: `file:line` or a path.
        message: What was found, what was expected, what to do.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def describe_problems(problems: Sequence[Problem], shown: int = 20) -> str:
    r"""The first problems, one a line, and how many more there are.

    Example:
        >>> describe_problems([Problem(where="a.csv:2", message="no emotion")] * 3, shown=1)
        'a.csv:2: no emotion\n(and 2 more problems)'
    """
    lines = [str(problem) for problem in problems[:shown]]
    rest = len(problems) - shown
    return "\n".join([*lines, f"(and {rest} more problems)"] if rest > 0 else lines)
