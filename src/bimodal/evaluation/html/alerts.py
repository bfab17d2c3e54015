"""What a reader must know before the figures, in plain words. `RULES` lists what is looked at."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from bimodal.data.text import normalise_transcript
from bimodal.evaluation.html.blocks import Alert
from bimodal.evaluation.html.material import Material, percent, short
from bimodal.evaluation.html.origin import model_config
from bimodal.evaluation.html.runs import TESTS, read_tests
from bimodal.evaluation.html.summary import below_chance, system_name
from bimodal.files import JSON_ERRORS

FEW_ROWS: Final = 100
ENOUGH: Final = 5  # utterances of an emotion for an alert on its recall
SURE: Final = 0.05  # by how much mean confidence and accuracy may differ
FEW_FOR_CONFIDENCE: Final = 50  # utterances below which the difference is chance
DOMINANT: Final = 0.5  # share of one emotion that makes accuracy misleading
SAME_WORDS: Final = 0.8  # share of rows whose words occur with all emotions
_LISTED: Final = 6

Rule = Callable[[Material], Iterator[Alert]]


def find_alerts(material: Material) -> list[Alert]:
    """Alerts of a report, the gravest first."""
    found = [alert for rule in RULES for alert in rule(material)]
    order = ("bad", "warn", "note")
    unique = {alert.text: alert for alert in found}
    return sorted(unique.values(), key=lambda alert: order.index(alert.level))


def _caveat(material: Material) -> Iterator[Alert]:
    if material.report.caveat:
        yield Alert(level="bad", text=short(material.report.caveat, 600))


def _small(material: Material) -> Iterator[Alert]:
    rows = material.system.rows
    if rows < FEW_ROWS:
        one = "utterance is" if rows == 1 else "utterances are"
        yield Alert(
            level="bad", text=f"Only {rows} {one} tested. A few others could change every figure by many points."
        )


def _guessing(material: Material) -> Iterator[Alert]:
    if below_chance(material):
        yield Alert(
            level="bad",
            text=f"The main figure cannot be told from guessing, which reaches {percent(material.chance)} %.",
        )


def _classes(material: Material) -> Iterator[Alert]:
    """Emotions below chance, and emotions that are never answered."""
    report, system = material.report, material.system
    counts = {name: sum(row) for name, row in zip(report.emotions, system.confusion, strict=True)}
    low = [name for name, value in system.recalls.items() if value is not None and value <= material.chance]
    answered = np.array(system.confusion).sum(axis=0)
    never = [name for name, count in zip(report.emotions, answered, strict=True) if not count and counts[name]]
    low = [name for name in low if counts[name] >= ENOUGH and name not in never]
    if low:
        text = f"Recognised no better than by guessing ({percent(material.chance)} %): {_listed(low)}."
        yield Alert(level="warn", text=text)
    if never:
        yield Alert(
            level="warn",
            text=f"Never answered, though it occurs: {_listed(never)}. Such utterances are always mistaken.",
        )


def _confidence(material: Material) -> Iterator[Alert]:
    """Mean confidence far from accuracy."""
    predictions, rows = material.predictions, material.predictions.answered(material.main)
    if rows.sum() < FEW_FOR_CONFIDENCE or material.main not in material.scored:
        return
    scores = predictions.scores[material.main][rows]
    sure, right = float(scores.max(axis=1).mean()), float((scores.argmax(1) == predictions.targets[rows]).mean())
    if abs(sure - right) <= SURE:
        return
    word = "over-confident" if sure > right else "under-confident"
    yield Alert(
        level="warn" if sure > right else "note",
        text=f"The model is {word} here: its mean confidence is {percent(sure, 0)} %, but {percent(right, 0)} % of its "
        "answers are right. Do not read its scores as probabilities on such recordings.",
    )


def _majority(material: Material) -> Iterator[Alert]:
    counts = material.report.counts
    name = max(counts, key=lambda emotion: counts[emotion])
    share = counts[name] / max(1, material.report.rows)
    accuracy = material.system.metrics["accuracy"].value
    if accuracy is not None and accuracy < share:
        yield Alert(
            level="warn",
            text=f"Always answering {short(name)} is right more often than the model: {percent(share, 0)} % against "
            f"{percent(accuracy, 0)} % (WA).",
        )
    elif share > DOMINANT and len(material.present) > 1:
        yield Alert(
            level="note",
            text=f"{percent(share, 0)} % of the utterances are {short(name)}. Always answering it reaches that "
            "accuracy (WA), so read UAR and macro F1.",
        )


def _same_words(material: Material) -> Iterator[Alert]:
    """Words that are the same for all emotions, so that text cannot know the emotion."""
    texts = [normalise_transcript(one) for one in material.predictions.extra.get("transcript", ())]
    emotions = defaultdict(set)
    for text, target in zip(texts, material.predictions.targets.tolist(), strict=False):
        emotions[text].add(target)
    spoken = [text for text in texts if text]
    everywhere = sum(len(emotions[text]) >= len(material.present) for text in spoken)
    if len(material.present) < 2 or not spoken or everywhere < SAME_WORDS * len(spoken):
        return
    distinct = len(set(spoken))
    said = "One sentence is" if distinct == 1 else f"{distinct} sentences are"
    yield Alert(
        level="warn",
        text=f"{said} said in every emotion. Words cannot tell the emotion here, so these figures say nothing about "
        "what words add.",
    )


def _shared_speakers(material: Material) -> Iterator[Alert]:
    """Speakers that also stand in the manifest's rows for training."""
    tested = {row.id for row in material.utterances.values()} & set(material.predictions.ids)
    rows = material.utterances.values()
    trained = {row.speaker for row in rows if row.split == "train" and row.id not in tested and row.speaker}
    speakers = [material.utterances[name].speaker for name in tested]
    shared = sum(speaker in trained for speaker in speakers)
    if shared:
        yield Alert(
            level="warn",
            text=f"Speaker overlap: {percent(shared / len(speakers), 0)} % of the tested utterances are by speakers of "
            "the manifest's split 'train'. If the model was trained on it, it knows these voices, and new speakers "
            "will be recognised less well.",
        )


def _warnings(material: Material) -> Iterator[Alert]:
    """Warnings of the report itself, such as intervals that are too narrow."""
    for sentence in material.report.warnings:
        yield Alert(level="warn", text=short(sentence, 600))


def _other_tests(material: Material) -> Iterator[Alert]:
    """Tests of another model than that of the report, which lie in the same folder."""
    try:
        tests = read_tests(material.folder / TESTS)
    except (*JSON_ERRORS, OSError, KeyError, TypeError):
        return  # the section of the tests says so
    config = model_config(material)
    if tests.revision != (config.revision if config else ""):
        yield Alert(
            level="warn",
            text=f"The tests in this report are of another model or version than its figures: {short(tests.title)}. "
            "Run 'bimodal test' again with the same model.",
        )


def _better_alone(material: Material) -> Iterator[Alert]:
    """A fusion that one modality alone beats is said by the report; say here which one to use."""
    worse = [one for one in material.report.comparisons if one.uar.high is not None and one.uar.high < 0]
    for one in worse:
        yield Alert(
            level="warn",
            text=f"{system_name(one.other)} is significantly better than {system_name(one.system)} on these "
            "recordings. Use it alone for such recordings.",
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(short(name) for name in names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} others"


RULES: Final[tuple[Rule, ...]] = (
    _caveat,
    _small,
    _guessing,
    _shared_speakers,
    _classes,
    _same_words,
    _confidence,
    _better_alone,
    _majority,
    _other_tests,
    _warnings,
)
"""What is looked at, in the order in which alerts of the same gravity stand."""
