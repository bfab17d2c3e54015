"""Worst mistakes and conflicts, with recordings that play in the page."""

import base64
import io
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import soundfile

from bimodal.audio.decode import SAMPLING_RATE, Signal, load_signal
from bimodal.errors import BimodalError
from bimodal.evaluation.html.blocks import ClipCard, Clips, LeftOut, Section
from bimodal.evaluation.html.material import Material, percent, short
from bimodal.evaluation.html.tables import conflict_tables

MOST_MISTAKES: Final = 24
MOST_CONFLICTS: Final = 8
MOST_ALIKE: Final = 4  # mistakes of the same kind, so that one confusion does not fill the list
LONGEST_SECONDS: Final = 12.0
LONGEST_TRANSCRIPT: Final = 400
_QUALITY: Final = 0.8  # of MP3 with variable rate, 0 the best and 1 the smallest

NO_SOUND: Final = "Recordings and transcripts are left out, as --no-audio asks."


def mistake_section(material: Material) -> Section | LeftOut:
    """The mistakes of the main system of which it was surest."""
    predictions, main = material.predictions, material.main
    rows = predictions.answered(main)
    scores = predictions.scores[main]
    wrong = np.flatnonzero(rows & (scores.argmax(axis=1) != predictions.targets))
    if not wrong.size:
        return LeftOut(reason="The main system makes no mistake on these utterances.")
    order = wrong[np.argsort(-scores[wrong].max(axis=1), kind="stable")]
    chosen = _varied(order.tolist(), [(int(predictions.targets[row]), int(scores[row].argmax())) for row in order])
    caption = (
        f"The {len(chosen)} of {len(wrong):,} mistakes with the highest confidence, at most {MOST_ALIKE} of a kind."
    )
    return Section(
        lead=f"Answers that are wrong and sure. Is the label right, or the model? {_no_sound(material)}".strip(),
        blocks=[Clips(cards=_cards(material, chosen), heading="Surest mistakes", caption=caption)],
    )


def conflict_section(material: Material) -> Section | LeftOut:
    """Where voice and words disagree."""
    found = conflict_tables(material)
    if isinstance(found, LeftOut):
        return found
    tables, order = found
    cards = _cards(material, order[:MOST_CONFLICTS].tolist())
    caption = f"The {len(cards)} of {len(order):,} conflicts in which both are surest."
    examples = [Clips(cards=cards, heading="Surest conflicts", caption=caption)] if cards else []
    return Section(
        lead="The voice alone and the words alone give different emotions: irony, or an error of one of them.",
        blocks=[*tables, *examples],
    )


def _no_sound(material: Material) -> str:
    return "" if material.sources.sound else NO_SOUND


def _varied(rows: Sequence[int], kinds: Sequence[tuple[int, int]]) -> list[int]:
    """The first rows, at most `MOST_ALIKE` of a kind."""
    seen: Counter[tuple[int, int]] = Counter()
    chosen: list[int] = []
    for row, kind in zip(rows, kinds, strict=True):
        seen[kind] += 1
        if seen[kind] <= MOST_ALIKE and len(chosen) < MOST_MISTAKES:
            chosen.append(row)
    return chosen


def _cards(material: Material, rows: Sequence[int]) -> list[ClipCard]:
    return [_card(material, row) for row in rows]


def _card(material: Material, row: int) -> ClipCard:
    predictions, main = material.predictions, material.main
    emotions = predictions.emotions
    scores = predictions.scores[main][row]
    answered = not np.isnan(scores).any()
    sound, remark = _sound(material, predictions.ids[row])
    return ClipCard(
        name=short(predictions.ids[row]),
        truth=short(emotions[predictions.targets[row]]),
        answer=short(emotions[int(scores.argmax())]) if answered else "no answer",
        confidence=f"{percent(float(scores.max()), 0)} %" if answered else "",
        facts=_facts(material, row),
        transcript=_transcript(material, row),
        sound=sound,
        remark=remark,
    )


def _facts(material: Material, row: int) -> list[tuple[str, str]]:
    """What the other systems say, who speaks, and how much the voice counted."""
    predictions = material.predictions
    found = []
    for system in predictions.systems:
        scores = predictions.scores[system][row]
        if system != material.main and system != "late" and not np.isnan(scores).any():
            answer = short(predictions.emotions[int(scores.argmax())])
            found.append((f"{short(system)} alone", f"{answer} {percent(float(scores.max()), 0)} %"))
    if speaker := predictions.extra.get("speaker", (None,) * (row + 1))[row]:
        found.append(("speaker", short(speaker)))
    return found


def _transcript(material: Material, row: int) -> str:
    if not material.sources.sound:
        return ""
    words = material.predictions.extra.get("transcript", (None,) * (row + 1))[row]
    return short(words, LONGEST_TRANSCRIPT) if words else ""


def _sound(material: Material, name: str) -> tuple[str, str]:
    """A recording as a data URL, and what to know of it; without one, why."""
    if not material.sources.sound:
        return "", ""
    utterance, manifest = material.utterances.get(name), material.sources.manifest
    if utterance is None or manifest is None or utterance.path is None:
        return "", "no recording"
    recording = manifest.folder / utterance.path
    if not recording.is_file():
        return "", "the recording is missing"
    try:
        signal = load_signal(recording, start=utterance.start, end=utterance.end)
    except (BimodalError, OSError):
        return "", "the recording cannot be read"
    most = int(LONGEST_SECONDS * SAMPLING_RATE)
    remark = f"the first {LONGEST_SECONDS:g} of {len(signal) / SAMPLING_RATE:.1f} s" if len(signal) > most else ""
    try:
        return as_data_url(signal[:most]), remark
    except soundfile.LibsndfileError:
        return "", "libsndfile on this machine writes no MP3"


def as_data_url(signal: Signal) -> str:
    """A signal of one channel at 16 kHz as MP3 in a data URL, about 3 kB a second.

    MP3 plays in every browser; Safari learnt Ogg late.

    Example:
        >>> as_data_url(np.zeros(16_000, np.float32))[:23]
        'data:audio/mpeg;base64,'
    """
    file = io.BytesIO()
    soundfile.write(
        file,
        signal,
        SAMPLING_RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=_QUALITY,
        bitrate_mode="VARIABLE",
    )
    return f"data:audio/mpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
