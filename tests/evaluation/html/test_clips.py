"""Recordings in the page."""

import base64
import io

import av
import numpy as np

from bimodal.evaluation.html.clips import MOST_ALIKE, MOST_MISTAKES, as_data_url, conflict_section, mistake_section


def test_a_clip_is_small_mp3_that_sounds_as_before():
    times = np.arange(32_000) / 16_000
    signal = (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    url = as_data_url(signal)
    assert len(url) < 15_000
    with av.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as file:
        frames = list(file.decode(audio=0))
    heard, rate = np.concatenate([frame.to_ndarray()[0] for frame in frames]), frames[0].sample_rate
    assert (rate, len(heard)) == (16_000, len(signal))
    peak = np.abs(np.fft.rfft(heard)).argmax() * rate / len(heard)
    assert abs(peak - 440) < 2


def test_the_surest_mistakes_come_first_and_no_kind_fills_the_list(scored, material, recorded):
    predictions = scored(rows=300)
    found = mistake_section(material(predictions, recorded(predictions))).blocks[0].cards
    assert len(found) <= MOST_MISTAKES
    assert all(card.truth != card.answer for card in found)
    sure = [float(card.confidence.split()[0]) for card in found]
    assert sure == sorted(sure, reverse=True)
    kinds = [(card.truth, card.answer) for card in found]
    assert max(kinds.count(kind) for kind in kinds) == MOST_ALIKE


def test_a_missing_recording_is_left_out_and_said(scored, material, recorded):
    predictions = scored(rows=6, speakers=2)
    predictions.scores["fused"][:] = np.eye(3)[(predictions.targets + 1) % 3]
    cards = {card.name: card for card in mistake_section(material(predictions, recorded(predictions))).blocks[0].cards}
    assert cards["u1"].sound == ""
    assert cards["u1"].remark == "the recording is missing"
    assert cards["u0"].sound.startswith("data:audio/mpeg;base64,")


def test_without_a_manifest_there_is_no_recording_but_the_words(scored, material):
    card = conflict_section(material(scored())).blocks[-1].cards[0]
    assert (card.sound, card.remark) == ("", "no recording")
    assert card.transcript.startswith("Sentence number")
