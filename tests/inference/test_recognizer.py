"""Recognition: batch = single, modalities may be missing, silence abstains, an altered model is refused."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bimodal import Clip, Recognizer
from bimodal.audio.decode import read_audio
from bimodal.errors import AudioError, BimodalError, ModelFolderError
from bimodal.inference.model_folder import load_model_config, save_model_config


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, threads=1)


@pytest.fixture(scope="module")
def recording(tiny_manifest: Path) -> Path:
    return tiny_manifest.parent / "audio" / "s0-anger-0.wav"


def test_scores_sum_to_one_and_the_emotion_is_the_most_probable(recognizer, recording):
    result = recognizer.recognize(recording, transcript="Stop that at once!")
    for scores in (result.scores, result.speech_scores, result.text_scores):
        assert sum(scores.values()) == pytest.approx(1, abs=1e-5)
    assert result.emotion == max(result.scores, key=result.scores.__getitem__)
    assert 0 < result.gate < 1
    assert (result.start, result.end) == (0.0, 0.5)


def test_a_batch_gives_what_single_calls_give(recognizer, tiny_manifest):
    files = sorted((tiny_manifest.parent / "audio").glob("s0-*.wav"))
    clips = [Clip(audio=file, transcript="some words" * (1 + i) if i % 2 else None) for i, file in enumerate(files)]
    clips.append(Clip(transcript="words alone"))
    for clip, together in zip(clips, recognizer.recognize_batch(clips), strict=True):
        alone = recognizer.recognize_batch([clip])[0]
        assert together.emotion == alone.emotion
        assert list(together.scores.values()) == pytest.approx(list(alone.scores.values()), abs=1e-4)


def test_a_file_and_its_samples_give_the_same(recognizer, recording):
    signal, rate = read_audio(recording)
    assert recognizer.recognize(recording).scores == recognizer.recognize(signal, sampling_rate=rate).scores


def test_gain_does_not_matter(recognizer, recording):
    signal, rate = read_audio(recording)
    loud, quiet = (recognizer.recognize(signal * gain, sampling_rate=rate) for gain in (4.0, 0.25))
    assert list(loud.scores.values()) == pytest.approx(list(quiet.scores.values()), abs=1e-3)


def test_one_side_alone_is_enough(recognizer, recording):
    voice, words = recognizer.recognize(recording), recognizer.recognize(transcript="I am so glad")
    assert voice.text_scores is None and voice.gate is None and voice.transcript is None
    assert words.speech_scores is None and words.gate is None and words.start is None


def test_blank_words_are_absent(recognizer, recording):
    assert recognizer.recognize(recording, transcript=" \n").scores == recognizer.recognize(recording).scores


@pytest.mark.parametrize(("seconds", "reason"), [(1.0, "silent"), (0.01, "shorter")])
def test_silence_and_scraps_are_not_judged(recognizer, seconds, reason):
    result = recognizer.recognize(np.zeros(int(16_000 * seconds), np.float32), sampling_rate=16_000)
    assert result.abstained and result.emotion is None and reason in result.reason


def test_silence_with_words_is_judged_by_the_words(recognizer):
    both = recognizer.recognize(np.zeros(16_000, np.float32), sampling_rate=16_000, transcript="I am so glad")
    assert both.scores == recognizer.recognize(transcript="I am so glad").scores


def test_nothing_to_recognise_is_said(recognizer):
    with pytest.raises(BimodalError, match="give a recording, words, or both"):
        recognizer.recognize()


def test_a_signal_needs_its_sampling_rate(recognizer):
    with pytest.raises(BimodalError, match="sampling_rate"):
        recognizer.recognize(np.ones(16_000, np.float32))


def test_nan_samples_are_refused(recognizer):
    with pytest.raises(AudioError, match="NaN"):
        recognizer.recognize(np.full(16_000, np.nan, np.float32), sampling_rate=16_000)


def test_outputs_of_a_missing_modality_are_marked_and_nan_as_arrays(recognizer, recording):
    found = recognizer.extract([Clip(audio=recording), Clip(transcript="hello")])
    assert found.speech.present.tolist() == [True, False] and found.text.present.tolist() == [False, True]
    assert found.fused.present.all() and np.linalg.norm(found.speech.embedding[0]) == pytest.approx(1, abs=1e-4)
    arrays = found.arrays()
    assert np.isnan(arrays["text"][0]).all() and np.isnan(arrays["speech_logits"][1]).all()
    assert np.array_equal(arrays["fused"], found.fused.embedding)


def test_recognition_imports_no_torch(tiny_model, recording):
    code = (
        "import sys, bimodal; r = bimodal.Recognizer(sys.argv[1]).recognize(sys.argv[2], transcript='hi'); "
        "assert not {'torch', 'transformers', 'sklearn', 'onnx'} & set(sys.modules); print(r.emotion)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tiny_model, recording], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() in ("anger", "happiness", "sadness")


@pytest.mark.parametrize("name", ["speech.onnx", "text.onnx", "fusion.onnx", "weights.safetensors", "report.json"])
def test_a_missing_or_altered_file_is_refused(tiny_model, tmp_path, name):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelFolderError, match=f"{name}: altered"):
        Recognizer(folder)
    (folder / name).unlink()
    with pytest.raises(ModelFolderError, match=f"{name}: missing"):
        Recognizer(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"schema": 99}, "schema 99, expected 3"),
        ({"files": {"../../etc/passwd": "0"}}, "outside its folder"),
        ({"emotions": ["anger"]}, "1 emotions"),
        ({"emotions": 3}, "damaged"),
    ],
)
def test_a_strange_configuration_is_refused(tiny_model, tmp_path, change, sentence):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ModelFolderError, match=sentence):
        Recognizer(folder)


def test_another_backbone_is_refused(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    config = load_model_config(folder)
    assert config.text is not None
    save_model_config(folder, replace(config, text=replace(config.text, backbone_digest="0" * 64)))
    with pytest.raises(ModelFolderError, match="another version of the backbone"):
        Recognizer(folder).recognize(transcript="hello")


def test_no_model_folder_is_said(tmp_path):
    with pytest.raises(ModelFolderError, match="no model folder"):
        Recognizer(tmp_path)


def test_words_that_a_speech_recogniser_was_unsure_of_count_less(recognizer, recording):
    clips = [
        Clip(audio=recording, transcript="What a lovely day!", transcript_confidence=text_weight)
        for text_weight in (None, 1, 0.4, 0)
    ]
    given, sure, unsure, none = recognizer.recognize_batch(clips)
    alone = recognizer.recognize(recording)
    assert sure.scores == given.scores and (given.transcript_source, sure.transcript_source) == ("given", "asr")
    assert given.transcript_confidence is None and unsure.transcript_confidence == 0.4
    assert given.gate < unsure.gate < none.gate == 1
    raw = recognizer.extract([clips[3], Clip(audio=recording)]).fused.logits
    assert raw[0] == pytest.approx(raw[1], abs=1e-4)
    assert none.emotion == alone.emotion


def test_a_confidence_beyond_1_is_refused(recognizer):
    with pytest.raises(BimodalError, match=r"transcript_confidence is 40, expected a number from 0 to 1"):
        recognizer.recognize_batch([Clip(transcript="words", transcript_confidence=40)])


def test_audio_in_any_form_gives_the_same_answer(recognizer, recording):
    samples, rate = read_audio(recording)
    whole = np.round(samples * 32768).clip(-32768, 32767).astype(np.int16)
    expected = recognizer.recognize(whole / 32768, sampling_rate=rate)
    forms = [
        (whole, rate),
        (rate, whole),
        {"array": whole.astype(np.float64) / 32768, "sampling_rate": rate},
        (np.stack([whole, whole], axis=1), rate),
        (np.stack([whole, whole]), rate),
    ]
    for result in recognizer.recognize_batch(forms):
        assert result.scores == pytest.approx(expected.scores, abs=1e-6) and result.end == expected.end
    by_path, content = recognizer.recognize(str(recording)), recording.read_bytes()
    with recording.open("rb") as stream:
        for result in recognizer.recognize_batch([content, stream]):
            assert result.scores == pytest.approx(by_path.scores, abs=1e-6)


def test_a_bad_file_of_a_batch_is_a_result_with_an_error_unless_it_is_strict(recognizer, recording, tmp_path):
    missing = Clip(audio=tmp_path / "none.wav", speaker="ann")
    first, bad, last = recognizer.recognize_batch([recording, missing, str(recording)], strict=False)
    assert first == last == recognizer.recognize(recording) and first.error is None
    assert bad.emotion is None and bad.abstained and bad.speaker == "ann" and bad.model == recognizer.name
    assert bad.error == f"{tmp_path / 'none.wav'}: no such file"
    with pytest.raises(AudioError, match="no such file"):
        recognizer.recognize_batch([recording, missing])


def test_a_recognizer_says_what_it_is(recognizer):
    assert recognizer.name in repr(recognizer) and "anger" in repr(recognizer)
    public = {name for name in dir(recognizer) if not name.startswith("_")}
    assert public == {
        "config", "emotions", "extract", "folder", "from_pretrained", "model", "name", "recognize", "recognize_batch",
        "recognize_long", "stream", "warm_up",
    }  # fmt: skip
