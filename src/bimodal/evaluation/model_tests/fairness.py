"""Fairness: does the model answer alike for all groups of speakers and of content?

Groups are compared with all clips together. Thresholds are simulated from the sizes of the groups (`thresholds.py`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from bimodal.arrays import Integers
from bimodal.data.text import normalise_transcript
from bimodal.evaluation.model_tests.records import (
    LEAST_CLIPS,
    Material,
    Outcome,
    TestOptions,
    answers,
    judged,
    skipped,
)
from bimodal.evaluation.model_tests.thresholds import (
    LEVEL,
    Deviations,
    deviations,
    fair_thresholds,
    group_confusions,
)

CATEGORY: Final = "fairness"
MOST_GROUPS: Final = 60
"""A column with more values than this is no grouping, such as a name of each clip."""

GROUPINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "sex": ("gender", "sex"),
    "age": ("age",),
    "accent": ("accent", "dialect", "native_language"),
    "language": ("lang", "language"),
    "ethnicity": ("ethnicity", "race"),
    "sentiment": ("sentiment",),
}
"""Groupings and the columns that hold them; the first column that exists is taken."""

LOW_HZ, HIGH_HZ = 145.0, 190.0  # borders of the pitch groups in the published suite
SPEAKER_CLIPS: Final = 25  # a speaker's pitch is the mean of more clips than this, as published
_AGES: Final = (30, 45, 60)

Groups = list[str | None]
"""The group of each clip; None for a clip that has none."""


def check_fairness(material: Material, system: str, options: TestOptions) -> list[Outcome]:
    """All tests of fairness of one system, on the clips that it answered."""
    found: list[Outcome] = []
    for name, groups in groupings(material, options).items():
        if isinstance(groups, str):
            found.append(skipped(CATEGORY, name, "", groups))
        else:
            found += _compare(material, system, name, groups, options)
    return found


def groupings(material: Material, options: TestOptions) -> dict[str, Groups | str]:
    """The group of each clip by grouping; a sentence where the manifest has none."""
    found: dict[str, Groups | str] = {}
    for name, columns in GROUPINGS.items():
        reason = f"the manifest has no column {' or '.join(repr(column) for column in columns)}"
        found[name] = next((cells for column in columns if any(cells := material.column(column))), reason)
    found["age"] = found["age"] if isinstance(found["age"], str) else [age_group(cell) for cell in found["age"]]
    found["pitch"] = _pitch_groups(material)
    found["content"] = _content_groups(material)
    for column in options.by:
        cells = material.column(column)
        found[column] = cells if any(cells) else f"the manifest has no column '{column}'"
    return found


def age_group(age: str | None) -> str | None:
    """Ages in four groups; anything that is no number is its own group.

    Example:
        >>> age_group("29"), age_group("61"), age_group("child"), age_group(None)
        ('below 30', '60 and above', 'child', None)
    """
    try:
        years = float(age or "")
    except ValueError:
        return age
    names = ["below 30", "30 to 44", "45 to 59", "60 and above"]
    return names[sum(years >= border for border in _AGES)]


def _pitch_groups(material: Material) -> Groups | str:
    """Speakers with a low, medium and high voice, by the mean pitch of their clips."""
    if material.pitch is None:
        return material.pitch_reason
    heard: dict[str, list[float]] = {}
    speakers = material.column("speaker")
    for speaker, hertz in zip(speakers, material.pitch.tolist(), strict=True):
        if speaker is not None and not np.isnan(hertz):
            heard.setdefault(speaker, []).append(hertz)
    known = {name: pitch_group(float(np.mean(values))) for name, values in heard.items() if len(values) > SPEAKER_CLIPS}
    if not known:
        return f"no speaker has more than {SPEAKER_CLIPS} clips with a measured pitch"
    return [known.get(speaker or "") for speaker in speakers]


def pitch_group(hertz: float) -> str:
    """The group of a speaker by mean pitch.

    Example:
        >>> pitch_group(120.0), pitch_group(170.0), pitch_group(220.0)
        ('low (up to 145 Hz)', 'medium', 'high (above 190 Hz)')
    """
    if hertz <= LOW_HZ:
        return f"low (up to {LOW_HZ:g} Hz)"
    return "medium" if hertz <= HIGH_HZ else f"high (above {HIGH_HZ:g} Hz)"


def _content_groups(material: Material) -> Groups | str:
    """Clips by what is said, where several texts are said with several emotions each."""
    texts = [_text(utterance.transcript) for utterance in material.utterances]
    targets = material.predictions.targets.tolist()
    said = Counter(text for text in texts if text)
    emotions = {text: len({target for one, target in zip(texts, targets, strict=True) if one == text}) for text in said}
    shared = [text for text, times in said.items() if times >= LEAST_CLIPS and emotions[text] > 1]
    if len(shared) < 2 or len(shared) > MOST_GROUPS:
        found = f"{len(shared)} texts are said in several emotions by {LEAST_CLIPS} clips or more"
        return f"{found}, expected 2 to {MOST_GROUPS}"
    return [text if text in shared else None for text in texts]


def _text(transcript: str | None) -> str | None:
    words = normalise_transcript(transcript)
    return None if words is None else words.casefold()


def _compare(material: Material, system: str, name: str, groups: Groups, options: TestOptions) -> Iterator[Outcome]:
    """Figures of each group of a grouping against those of all its clips."""
    predictions, emotions = material.predictions, material.predictions.emotions
    here = predictions.answered(system) & np.array([group is not None for group in groups])
    names = sorted({str(groups[row]) for row in np.flatnonzero(here)})
    if len(names) < 2:
        yield skipped(
            CATEGORY, name, "", f"all clips are of one group ('{names[0]}')" if names else "no clip has a group"
        )
        return
    if len(names) > MOST_GROUPS:
        yield skipped(CATEGORY, name, "", f"{len(names)} groups, at most {MOST_GROUPS} are compared")
        return
    rows = np.flatnonzero(here)
    numbers = np.array([names.index(str(groups[row])) for row in rows])
    told = answers(predictions.scores[system][rows])
    confusions = group_confusions(material.targets[rows], told, numbers, len(emotions))
    limits = fair_thresholds(confusions, runs=options.runs, seed=options.seed)
    speakers = [_speakers(material, rows[numbers == number]) for number in range(len(names))]
    source = f"{options.runs} fair random models, quantile {LEVEL:g}, seed {options.seed}"
    for number, group in enumerate(names):
        told_group = f"{group}, {speakers[number]}" if speakers[number] else group
        yield from _one_group(name, number, told_group, confusions, (deviations(confusions), limits), emotions, source)


def _speakers(material: Material, rows: Sequence[int] | Integers) -> str:
    known = {material.utterances[row].speaker for row in rows} - {None}
    return f"{len(known)} speaker{'s' if len(known) > 1 else ''}" if known else ""


def _one_group(
    name: str,
    number: int,
    group: str,
    confusions: Integers,
    found: tuple[Deviations, Deviations],
    emotions: tuple[str, ...],
    source: str,
) -> Iterator[Outcome]:
    """The tests of one group: UAR, and recall, precision and share of each emotion."""
    matrix, whole = confusions[number], confusions.sum(axis=0)
    clips = int(matrix.sum())
    if clips < LEAST_CLIPS:
        yield skipped(CATEGORY, name, group, f"too few clips: {clips}, at least {LEAST_CLIPS}", clips)
        return
    value, limit = (float(one.uar[number]) for one in found)
    yield _outcome(f"{name}: UAR", group, value, limit, "mean recall", clips, source)
    counts = {"recall": matrix.sum(axis=1), "precision": matrix.sum(axis=0), "share": np.full(len(emotions), clips)}
    for figure, support in counts.items():
        for place, emotion in enumerate(emotions):
            test, case = f"{name}: {figure}", f"{emotion}, {group}"
            reason = _reason(figure, emotion, int(support[place]), whole[:, place], whole[place])
            if reason:
                yield skipped(CATEGORY, test, case, reason, int(support[place]))
            else:
                value, limit = (float(getattr(one, figure)[number, place]) for one in found)
                yield _outcome(test, case, value, limit, _NAMES[figure].format(emotion), int(support[place]), source)


_NAMES: Final = {
    "recall": "recall of {0}",
    "precision": "precision of {0} at equal emotions",
    "share": "share of answers {0} at equal emotions",
}


def _reason(figure: str, emotion: str, support: int, told: Integers, true: Integers) -> str:
    """Why a figure of an emotion is not tested; empty if it is."""
    if not told.sum():
        return f"the model never answers {emotion}"
    if figure != "share" and not true.sum():
        return f"no clip is labelled {emotion}"
    if support < LEAST_CLIPS:
        what = f"answers {emotion}" if figure == "precision" else f"clips of {emotion}"
        return f"too few {what}: {support}, at least {LEAST_CLIPS}"
    return ""


def _outcome(test: str, case: str, value: float, limit: float, what: str, clips: int, source: str) -> Outcome:
    if np.isnan(value) or np.isnan(limit):
        return skipped(CATEGORY, test, case, f"the {what} is undefined", clips)
    side = "above" if value > 0 else "below"
    sentence = (
        f"For {case}, the {what} is {abs(100 * value):.1f} points {side} that of all clips; "
        f"a fair model of these sizes stays within {100 * limit:.1f}."
    )
    return judged(CATEGORY, test, case, value, limit, sentence=sentence, clips=clips, source=source, at_least=False)
