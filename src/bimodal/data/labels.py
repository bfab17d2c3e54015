"""Emotion vocabularies, and the versioned maps that lead a corpus's own labels to them.

A corpus keeps its own words (`joy`, `hap`, `mad`). A map says which emotion of a vocabulary each word means. A
word whose emotion has no place in the vocabulary is dropped and counted; a word that the map does not know is an error.
Nothing is folded silently: the few merges are listed in `MERGES` and `GROUPINGS`. A cell may hold several labels,
`joy|surprise`, as several raters or a rater with several answers give them; each weighs the same, a repeated one more.
"""

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bimodal.errors import ConfigError, ManifestError

SEPARATOR = "|"  # between the labels of one cell


def _word(label: str) -> str:
    return label.strip().casefold()


def split_labels(cell: str) -> tuple[str, ...]:
    """The labels of one cell of a manifest; one for the usual row.

    Example:
        >>> split_labels("joy|surprise"), split_labels("joy")
        (('joy', 'surprise'), ('joy',))
    """
    return tuple(label.strip() for label in cell.split(SEPARATOR) if label.strip()) or (cell,)


def join_labels(labels: Iterable[str]) -> str:
    """The cell of a manifest that says these labels.

    Example:
        >>> join_labels(["joy", "surprise"])
        'joy|surprise'
    """
    return SEPARATOR.join(labels)


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """The emotions that a model tells apart, in the order of its outputs.

    Attributes:
        name: For example `ekman7`.
        version: Rises whenever an emotion is added, removed, renamed or moved.
        emotions: At least two different words.

    Raises:
        ConfigError: For fewer than two emotions, a repeated one, or one that is empty or has spaces around it.

    Example:
        >>> Vocabulary(name="mood", version=1, emotions=("calm", "tense")).target("tense")
        1
    """

    name: str
    version: int
    emotions: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.emotions) < 2:
            raise ConfigError(f"vocabulary {self.name!r}: {len(self.emotions)} emotions given, at least 2 are needed")
        for emotion in self.emotions:
            if not emotion or emotion != emotion.strip():
                raise ConfigError(f"vocabulary {self.name!r}: {emotion!r} is empty or has spaces around it")
            if [_word(other) for other in self.emotions].count(_word(emotion)) > 1:
                raise ConfigError(f"vocabulary {self.name!r}: {emotion!r} is given more than once")

    def target(self, emotion: str) -> int:
        """Index of an emotion, which is also its place in a model's outputs.

        Raises:
            ConfigError: If the vocabulary has no such emotion.
        """
        if emotion not in self.emotions:
            raise ConfigError(f"vocabulary {self.name!r} has no {emotion!r}, only {list(self.emotions)}")
        return self.emotions.index(emotion)


@dataclass(frozen=True, kw_only=True, slots=True)
class EmotionMap:
    """What each native label means in one vocabulary.

    Attributes:
        name: For example `builtin-ekman7`.
        version: Rises whenever a word changes its meaning.
        vocabulary: Where the map leads.
        table: Native label (lower case) to emotion. A value outside the vocabulary, the empty string too, marks a
            known label without a place there.
    """

    name: str
    version: int
    vocabulary: Vocabulary
    table: Mapping[str, str]

    def apply(self, label: str) -> str | None:
        """The emotion that a native label means; None if it has no place in the vocabulary.

        Raises:
            ManifestError: If the map does not know the label; names the nearest labels that it knows.

        Example:
            >>> ekman = emotion_map("ekman7")
            >>> ekman.apply("Happy"), ekman.apply("boredom")
            ('happiness', None)
        """
        emotion = self._meaning(label)
        return emotion if emotion in self.vocabulary.emotions else None

    def shares(self, cell: str) -> dict[str, float]:
        """What the labels of one cell mean: the share of each emotion among those labels that have a place.

        Args:
            cell: One label, or several with `|` between them; a repeated one counts again.

        Returns:
            Shares that sum to 1, one of them for labels that all mean the same; empty if no label has a place.

        Raises:
            ManifestError: As `apply`.

        Example:
            >>> emotion_map("ekman7").shares("joy|happy|anger|calm") == {"happiness": 2 / 3, "anger": 1 / 3}
            True
        """
        placed = Counter(emotion for emotion in map(self.apply, split_labels(cell)) if emotion is not None)
        return {emotion: count / placed.total() for emotion, count in placed.items()}

    def drop_reason(self, label: str) -> str:
        """Why `apply` gives None for this label (`shares` nothing for this cell), as half a sentence.

        Raises:
            ManifestError: If the map does not know the label.

        Example:
            >>> emotion_map("ekman7").drop_reason("bored")
            "'bored' (boredom) has no place in ekman7"
        """
        if len(split_labels(label)) > 1:
            return f"none of several labels has a place in {self.vocabulary.name}"
        emotion = self._meaning(label)
        meaning = f" ({emotion})" if emotion and emotion != _word(label) else ""
        return f"{label!r}{meaning} has no place in {self.vocabulary.name}"

    def _meaning(self, label: str) -> str:
        word = _word(label)
        if word not in self.table:
            near = get_close_matches(word, self.table, n=3) or list(self.vocabulary.emotions)
            raise ManifestError(f"unknown emotion {label!r}, expected one of {near} or an entry in a map of your own")
        return self.table[word]


def _vocabulary(name: str, emotions: str) -> Vocabulary:
    return Vocabulary(name=name, version=1, emotions=tuple(emotions.split()))


VOCABULARIES: Mapping[str, Vocabulary] = MappingProxyType(
    {
        vocabulary.name: vocabulary
        for vocabulary in (
            _vocabulary("ekman7", "anger disgust fear happiness neutral sadness surprise"),
            _vocabulary("iemocap4", "anger happiness neutral sadness"),
            _vocabulary("iemocap6", "anger excitement frustration happiness neutral sadness"),
            _vocabulary("ravdess8", "neutral calm happiness sadness anger fear disgust surprise"),
            _vocabulary("acted4", "anger happiness neutral sadness"),
            _vocabulary("emotion2vec9", "anger disgust fear happiness neutral other sadness surprise unknown"),
            _vocabulary("plutchik8", "anger anticipation disgust fear joy sadness surprise trust"),
            _vocabulary("sentiment3", "negative neutral positive"),
        )
    }
)

_FINER_EMOTIONS = (
    "admiration amusement annoyance approval caring confusion curiosity desire disappointment disapproval",
    "embarrassment gratitude grief love nervousness optimism pride realization relief remorse",
    "anxious apologetic assertive concerned encouraging",  # of the JL corpus
    "adoration awe contentment distress ecstasy elation guilt interest pain romantic_love serenity shame sympathy",
    "triumph ridicule low high",  # these of EmoGator and ISEAR, ridicule of MUStARD++, levels of BAVED
)

# One emotion per entry, then the other words for it: adjectives, corpus codes (IEMOCAP, EmoBox) and spellings.
SYNONYMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        emotion: tuple(words.split())
        for emotion, words in {
            "anger": "angry ang mad",
            "disgust": "disgusted dis",
            "fear": "fearful scared afraid fea",
            "happiness": "happy hap joy joyful",
            "neutral": "neu neutrality",
            "sadness": "sad",
            "surprise": "surprised sur positive_surprise negative_surprise",
            "calm": "calmness",
            "excitement": "excited exc",
            "frustration": "frustrated fru",
            "boredom": "bored",
            "contempt": "contemptuous",
            "sarcasm": "sarcastic",
            "sleepiness": "sleepy",
            "peaceful": "peacefulness",
            "powerful": "power",
            "anticipation": "anticipating",
            "trust": "trusting",
            "positive": "pos",
            "negative": "neg",
            "other": "oth others",
            "unknown": "unk <unk> xxx undecided",
            "mixed": "ambiguous",
            # the remaining words of GoEmotions, TweetEval, ISEAR and EmoGator: known, and none of the above
            **{emotion: "" for line in _FINER_EMOTIONS for emotion in line.split()},
        }.items()
    }
)

# The documented merges: in this vocabulary, this emotion counts as that one.
MERGES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "iemocap4": {"excitement": "happiness"},  # the usual 5,531 utterances of the literature
        "sentiment3": {
            **dict.fromkeys(("happiness", "excitement"), "positive"),
            **dict.fromkeys(("anger", "disgust", "fear", "sadness", "frustration"), "negative"),
        },
    }
)

# Published groupings of a corpus's labels by the name of their map: the vocabulary that it leads to, and for an emotion
# of it the labels that count as it. An empty emotion lists labels without a place. Other words mean the usual.
GROUPINGS: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        # Demszky et al., ACL 2020, arXiv 2005.00547: their ekman_mapping.json, with neutral as it is
        "goemotions-ekman7": (
            "ekman7",
            {
                "anger": "anger annoyance disapproval",
                "disgust": "disgust",
                "fear": "fear nervousness",
                "happiness": "joy amusement approval excitement gratitude love optimism relief pride admiration desire "
                "caring",
                "sadness": "sadness disappointment embarrassment grief remorse",
                "surprise": "surprise realization confusion curiosity",
                "neutral": "neutral",
            },
        ),
        # Ours; the primary emotions of Willcox's feeling wheel that EmoryNLP uses
        "emorynlp-ekman7": (
            "ekman7",
            {
                "anger": "mad",
                "fear": "scared",
                "happiness": "joyful",
                "sadness": "sad",
                "neutral": "neutral",
                "": "peaceful powerful",
            },
        ),
    }
)


def custom(emotions: Iterable[str], name: str = "custom", version: int = 1) -> Vocabulary:
    """A vocabulary from one's own list of emotions, in the order given.

    Raises:
        ConfigError: If the list is no vocabulary, see `Vocabulary`, or takes the name of a built-in one.

    Example:
        >>> custom(["tense", "calm"]).emotions
        ('tense', 'calm')
    """
    if name in VOCABULARIES:
        raise ConfigError(f"vocabulary {name!r} is built in; choose another name for your own")
    return Vocabulary(name=name, version=version, emotions=tuple(emotions))


def vocabulary(name: str = "ekman7") -> Vocabulary:
    """A built-in vocabulary by name.

    Raises:
        ConfigError: If there is none of that name.

    Example:
        >>> len(vocabulary().emotions)
        7
    """
    if name not in VOCABULARIES:
        raise ConfigError(f"unknown vocabulary {name!r}, expected one of {sorted(VOCABULARIES)}")
    return VOCABULARIES[name]


def emotion_map(target: str | Vocabulary = "ekman7") -> EmotionMap:
    """The built-in map from the usual words for emotions to a vocabulary, one's own too.

    Args:
        target: A vocabulary, or the name of a built-in one.

    Returns:
        A map that knows every word of `SYNONYMS` and of the vocabulary. Where a vocabulary of one's own tells two
        synonyms apart (`happy`, `joyful`), the other words for that emotion are unknown to the map.

    Raises:
        ConfigError: If there is no vocabulary of that name.

    Example:
        >>> emotion_map("iemocap4").apply("exc"), emotion_map("acted4").apply("exc")
        ('happiness', None)
        >>> emotion_map(custom(["joyful", "mad"])).apply("angry")
        'mad'
    """
    target = vocabulary(target) if isinstance(target, str) else target
    merges = MERGES.get(target.name, {}) if target == VOCABULARIES.get(target.name) else {}
    table: dict[str, str] = {}
    for emotion, words in SYNONYMS.items():
        places = [name for name in target.emotions if _word(name) in (emotion, *words)]
        if len(places) < 2:
            table |= dict.fromkeys((emotion, *words), places[0] if places else merges.get(emotion, emotion))
    table |= {_word(emotion): emotion for emotion in target.emotions}
    return EmotionMap(name=f"builtin-{target.name}", version=1, vocabulary=target, table=table)


def find_map(name: str, folder: Path = Path()) -> EmotionMap:
    """The map that a name stands for, as `--vocabulary` and the configuration give it.

    Args:
        name: A built-in vocabulary (`ekman7`), a published grouping (`goemotions-ekman7`), or a TOML file of one's own.
        folder: Where the TOML file is looked for.

    Raises:
        ConfigError: If there is none of that name, or the file is no map.

    Example:
        >>> find_map("goemotions-ekman7").apply("annoyance"), find_map("ekman7").apply("annoyance")
        ('anger', None)
    """
    if name.endswith(".toml"):
        return read_emotion_map(folder / name)
    if name in GROUPINGS:
        target, groups = GROUPINGS[name]
        usual = emotion_map(target)
        table = {label: emotion for emotion, labels in groups.items() for label in labels.split()}
        return EmotionMap(name=name, version=1, vocabulary=usual.vocabulary, table={**usual.table, **table})
    if name not in VOCABULARIES:
        expected = f"{sorted(VOCABULARIES)}, {sorted(GROUPINGS)} or a file that ends in .toml"
        raise ConfigError(f"unknown vocabulary {name!r}, expected one of {expected}")
    return emotion_map(name)


def read_emotion_map(path: Path) -> EmotionMap:
    """One's own map, from a TOML file that stands alone (the built-in words are not added).

    The file has `name`, `version`, and either `vocabulary` (a built-in name) or `emotions` (a list); its table `[map]`
    leads each native label to an emotion, or to `""` for a label to drop. The emotions themselves need no entry.

    Raises:
        ConfigError: If the file is missing, is no TOML, or has an unknown key, a wrong type or an unknown emotion.
    """
    content = _toml(path)
    if unknown := sorted(set(content) - {"name", "version", "vocabulary", "emotions", "map"}):
        raise ConfigError(f"{path}: unknown keys {unknown}, expected name, version, vocabulary or emotions, [map]")
    name, version = content.get("name"), content.get("version")
    if not isinstance(name, str) or not name or type(version) is not int:
        raise ConfigError(f"{path}: name (text) and version (whole number) are needed, found {name!r} and {version!r}")
    target = _vocabulary_of(content, path)
    table = {_word(emotion): emotion for emotion in target.emotions} | _entries(content.get("map", {}), target, path)
    return EmotionMap(name=name, version=version, vocabulary=target, table=table)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the emotion map cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, no TOML, absurdly long or deep
        raise ConfigError(f"{path}: not a TOML file ({error})") from error


def _vocabulary_of(content: Mapping[str, Any], path: Path) -> Vocabulary:
    if ("vocabulary" in content) == ("emotions" in content):
        raise ConfigError(f"{path}: give either vocabulary (a built-in name) or emotions (a list)")
    given = content.get("vocabulary", content.get("emotions"))
    try:
        if "vocabulary" in content and isinstance(given, str):
            return vocabulary(given)
        if "emotions" in content and _is_texts(given):
            return custom(given, name=content["name"], version=content["version"])
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    raise ConfigError(f"{path}: vocabulary must be text and emotions a list of texts, found {given!r}")


def _is_texts(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(item, str) for item in value)


def _entries(table: object, target: Vocabulary, path: Path) -> dict[str, str]:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{path}: [map] must be a table of label = emotion, found {table!r}")
    entries: dict[str, str] = {}
    for label, emotion in table.items():
        if emotion != "" and emotion not in target.emotions:
            raise ConfigError(
                f"{path}: [map] {label} leads to {emotion!r}, expected one of {list(target.emotions)} or '' to drop it"
            )
        if _word(label) in entries:
            raise ConfigError(f"{path}: [map] has {label!r} twice (case and spaces around a label do not count)")
        entries[_word(label)] = emotion
    return entries
