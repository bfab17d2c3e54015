import dataclasses
import shutil
from collections import Counter
from pathlib import Path

import pytest
import soundfile

from bimodal.audio.level import level_db
from bimodal.demo import corpus as spoken
from bimodal.demo.corpus import COLUMNS, EMOTIONS, VOICES, prepare, write_script
from bimodal.errors import AudioError, BimodalError

espeakng_loader = pytest.importorskip("espeakng_loader")
SIZE = 12


def digests(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoken")
    return folder, prepare(folder, size=SIZE)


def test_the_same_seed_gives_the_same_bytes(corpus, tmp_path):
    prepare(tmp_path, size=SIZE, workers=1)
    assert digests(tmp_path) == digests(corpus[0])


def test_another_seed_gives_other_recordings():
    assert not {line.path for line in write_script(SIZE)} & {line.path for line in write_script(SIZE, seed=1)}


def test_a_smaller_corpus_is_the_beginning_of_a_larger_one():
    assert write_script(100)[:SIZE] == write_script(SIZE)


def test_recordings_are_audible_speech_at_16_khz_in_one_channel(corpus):
    folder, utterances = corpus
    for utterance in utterances:
        signal, rate = soundfile.read(folder / utterance.path, dtype="float32")
        assert rate == 16000
        assert signal.ndim == 1
        assert 0.8 < len(signal) / rate < 6
        assert level_db(signal) > -40


def test_the_manifest_has_every_utterance_and_column(corpus):
    folder, utterances = corpus
    header, *rows = (folder / "manifest.csv").read_text(encoding="utf-8").splitlines()
    assert header == ",".join(COLUMNS)
    assert len(rows) == len(utterances) == SIZE
    assert {utterance.split for utterance in utterances} == {"train", "dev", "test"}


def test_no_speaker_and_no_sentence_is_in_two_splits():
    splits_of: dict[str, set[str]] = {}
    for line in write_script(720):
        for name in (line.voice.name, line.sentence, line.text):
            splits_of.setdefault(name, set()).add(line.voice.split)
    assert {len(splits) for splits in splits_of.values()} == {1}


def test_every_speaker_speaks_every_emotion_about_equally_often():
    counts = Counter((line.voice.name, line.voice_emotion) for line in write_script(720))
    assert len(counts) == len(VOICES) * len(EMOTIONS)
    assert max(counts.values()) - min(counts.values()) <= 2


def test_conflicts_are_in_every_split_and_follow_the_voice(corpus):
    conflicts = [utterance for utterance in corpus[1] if utterance.extra["conflict"] == "yes"]
    assert {utterance.split for utterance in conflicts} == {"train", "dev", "test"}
    for utterance in conflicts:
        assert utterance.emotion == utterance.extra["voice_emotion"] != utterance.extra["word_emotion"]


def test_neutral_words_in_an_emotional_voice_are_no_conflict():
    worded = [line for line in write_script(720) if line.word_emotion == "neutral" != line.voice_emotion]
    assert worded
    assert not any(line.conflict for line in worded)


def test_voices_differ_in_sound(tmp_path):
    line = write_script(1)[0]
    sounds = set()
    with spoken._espeak_data() as data:
        for n, voice in enumerate(VOICES):
            style = spoken.draw_style(voice, "neutral", spoken.np.random.default_rng(0))
            spoken._speak(dataclasses.replace(line, voice=voice, style=style), tmp_path / f"{n}.wav", data)
            sounds.add((tmp_path / f"{n}.wav").read_bytes())
    assert len(sounds) == len(VOICES)


def test_an_interrupted_call_continues_and_keeps_what_is_finished(corpus, tmp_path):
    shutil.copytree(corpus[0], tmp_path, dirs_exist_ok=True)
    kept, *gone = sorted((tmp_path / "audio").iterdir())
    before = kept.stat().st_mtime_ns
    for file in [*gone[:3], tmp_path / "manifest.csv"]:
        file.unlink()
    progress = []
    prepare(tmp_path, size=SIZE, on_progress=lambda *numbers: progress.append(numbers))
    assert progress == [(10, SIZE), (11, SIZE), (12, SIZE)]
    assert kept.stat().st_mtime_ns == before
    assert digests(tmp_path) == digests(corpus[0])


def test_data_installed_under_a_long_path_are_spoken_with(corpus, tmp_path, monkeypatch):
    long = tmp_path / ("a" * 120) / ("b" * 120)
    long.parent.mkdir()
    long.symlink_to(espeakng_loader.get_data_path())
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(long))
    prepare(tmp_path / "out", size=1)
    (path,) = (tmp_path / "out" / "audio").iterdir()
    assert path.read_bytes() == (corpus[0] / "audio" / path.name).read_bytes()


def test_a_long_temporary_folder_is_avoided(tmp_path, monkeypatch):
    monkeypatch.setattr(spoken.tempfile, "tempdir", str(tmp_path / ("t" * 150)))
    (tmp_path / ("t" * 150)).mkdir()
    assert spoken._short_folder() == Path("/tmp")


def test_a_crash_names_the_sentence(tmp_path, monkeypatch):
    crash = tmp_path / "crash.py"
    crash.write_text("import os\nos.abort()\n")
    monkeypatch.setattr(spoken, "_SPEAKING", crash)
    with pytest.raises(AudioError, match=write_script(1)[0].text.rstrip("?!.")):
        prepare(tmp_path / "out", size=1)
    assert not list((tmp_path / "out" / "audio").iterdir())


def test_a_missing_synthesiser_is_told_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(spoken.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BimodalError, match=r"pip install 'bimodal-emotion\[demo\]'"):
        prepare(tmp_path, size=1)
    assert not list(tmp_path.iterdir())


def test_the_speaking_process_imports_nothing_but_the_standard_library():
    source = spoken._SPEAKING.read_text(encoding="utf-8")
    assert "bimodal" not in source
    assert "numpy" not in source
