"""Exceptions: each has one sentence: where, what was found, what was expected, what to do; and sentences with codes.

Python, the command line and HTTP tell the English sentence of a result or a recording. `find_message` gives its code
and the values in it, and the web page says it in the language of the reader.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final


class BimodalError(Exception):
    """Something the user can mend; the message is one clear sentence, shown without a traceback."""


class AudioError(BimodalError):
    """A recording that is missing, empty, truncated, not audio, or holds unusable samples."""


class ManifestError(BimodalError):
    """A manifest that cannot be used; the message lists its first problems, each with file and line."""


class SplitError(BimodalError):
    """A split or fold that leaks speakers, lacks a part, or cannot be made."""


class ConfigError(BimodalError):
    """A configuration with an unknown key, a wrong type or a value out of range."""


class BackboneError(BimodalError):
    """A backbone that is missing, altered, or does not pass its parity check."""


class CacheError(BimodalError):
    """A feature cache that cannot be read or written, for example because the disk is full."""


class ModelFolderError(BimodalError):
    """A model folder with a file that is missing, altered or of an unknown schema."""


class TrainingError(BimodalError):
    """Data or a run folder that a stage cannot train on or resume from."""


class LostProcessError(TrainingError):
    """Another process of the same training has ended; it knows the reason."""


class TranscriptionError(BimodalError):
    """A speech recogniser that is missing, or asked for what it cannot do."""


class LabellingError(BimodalError):
    """A folder of labels, a label or a rater's name that cannot be used."""


class ModelFolderWarning(UserWarning):
    """A model folder that can be used, but about which its user should know something."""


MESSAGES: Final = {
    "silent": "the recording is silent",
    "no-speech": "no speech was found",
    "too-short": "the speech is shorter than {seconds} s",
    "cannot-use": "the model '{model}' cannot use the given input",
    "short-speech": "the speech is short ({seconds} s); answers below {least} s are little more than guesses",
    "noisy": "the recording is noisy (signal-to-noise ratio about {ratio} dB, expected {least} or more)",
    "clipped": "the recording is clipped ({share} % of its samples); record it at a lower level",
    "voice-unlike": "the voice is unlike the training data (distance {distance}, expected at most {most})",
    "words-unlike": "the words are unlike the training data (distance {distance}, expected at most {most})",
    "words-foreign": "the words are in '{language}', the model reads {read}",
    "words-seem-foreign": "the words seem to be in another language than the model reads ({read})",
    "cut-in-data": "the recording is cut: it ends after {end} s, in the middle of its data",
    "cut-before-end": "the recording is cut: it ends after {end} s, and its header promises {promised} s",
    "damaged": "the recording is damaged: about {lost} s of it cannot be decoded and are silent here",
    "speaker-doubted": "another person may speak here than {speaker} (confidence {confidence})",
    "overlap": "two people speak at once (in {share} % of this time)",
    "speaker-unknown": "who speaks here is not known",
    "voices-alike": "who speaks when is unsure: the voices are alike or change much (confidence {confidence}, below "
    "{least})",
    "speakers-doubtful": "who speaks when is unsure: there may be more or fewer speakers than {count}; give their "
    "number if known",
    "speakers-missing": "who speaks when is unsure: {count} of {wanted} speakers were found",
    "set-no-rows": "the model has no calibration rows for {kind}, so the set holds all emotions",
    "set-coverage": "the calibration on {clusters} {unit} supports a coverage of at most {most}, so the set holds all "
    "emotions",
    "set-few": "too few speakers for {coverage} of {emotions} alone; the threshold of all emotions stands in",
    "weights": "weight of the voice {voice} %, of the words {words} %",
    "agree-same": "voice and words agree: both say {emotion} (divergence {bits} of 1)",
    "agree-unequal": "voice and words name the same emotion, of different certainty: both say {emotion} (divergence "
    "{bits} of 1)",
    "contradict": "voice and words {grade} contradict each other: voice {voice} ({voice_score}), words {words} "
    "({words_score}) (divergence {bits} of 1)",
    "time-influence": "in the voice, {start} to {end} s had the highest influence on {emotion} ({influence})",
    "word-influence": "of the words, '{word}' had the highest influence on {emotion} ({influence})",
    "not-audio-cut": "{name}: cannot be decoded as audio: it is cut, and nothing of what there is can be read; copy "
    "the recording again",
    "not-audio": "{name}: cannot be decoded as audio ({reason})",
    "file-empty": "{name}: the file is empty (0 bytes)",
    "damaged-file": "{name}: damaged ({reason}); copy or convert the recording again",
    "no-sound": "{name}: holds no sound, only {found}",
    "no-samples": "{name}: the recording holds no samples",
    "too-many-channels": "the recording has {count} channels, expected at most {most}",
    "too-long": "the recording lasts longer than {most} s",
    "decoding-limit": "the recording took too much time or memory to decode",
    "request-too-large": "the request is too large; expected at most {most} bytes",
    "no-recogniser": "transcribe: this server has no speech recogniser; start it with --asr",
    "nothing-given": "nothing to recognise: give a recording, words, or both",
}
"""English sentences; values stand in braces. The texts of the page have all of these codes."""

_VALUE: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """A sentence, and what it says as a code.

    Attributes:
        code: A key of `MESSAGES`.
        values: What stands in the sentence, as text, by name.
        text: The English sentence.
    """

    code: str
    values: dict[str, str]
    text: str


def tell(code: str, **values: object) -> str:
    """The English sentence of a code.

    Example:
        >>> tell("too-short", seconds=0.1)
        'the speech is shorter than 0.1 s'
    """
    return MESSAGES[code].format(**values)


@lru_cache(maxsize=4096)
def find_message(sentence: str) -> Message | None:
    """The code and values of a sentence; None for a sentence that has no code.

    Example:
        >>> find_message("the speech is shorter than 0.1 s").values
        {'seconds': '0.1'}
        >>> find_message("it rains")
    """
    for code, pattern in _patterns().items():
        if found := pattern.fullmatch(sentence):
            return Message(code=code, values=found.groupdict(), text=sentence)
    return None


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """What matches the sentences of each code."""
    patterns = {}
    for code, template in MESSAGES.items():
        parts = _VALUE.split(template)
        quoted = [f"(?P<{part}>.*?)" if place % 2 else re.escape(part) for place, part in enumerate(parts)]
        patterns[code] = re.compile("".join(quoted), re.DOTALL)
    return patterns
