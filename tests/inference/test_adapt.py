"""Adapting: without labels, without torch, told apart from the model it came from."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bimodal import Clip, Recognizer
from bimodal.errors import BimodalError
from bimodal.inference.adapt import adapt_model
from bimodal.inference.model_folder import ADAPTATION, CARD, CONFIG, SPEAKERS


def clips_of(manifest: Path) -> list[Clip]:
    with manifest.open(encoding="utf-8") as stream:
        return [Clip(audio=manifest.parent / row["path"], speaker=row["speaker"]) for row in csv.DictReader(stream)]


def scores(recognizer: Recognizer, clips: list[Clip]) -> np.ndarray:
    """Logarithms, as this small a model is quite sure of everything."""
    found = [list(result.scores.values()) for result in recognizer.recognize_batch(clips)]
    return np.log(np.array(found) + 1e-37)


def rewrite(manifest: Path, name: str, **changes) -> Path:
    """The manifest again, with columns set, or left out by None, or its first rows alone by `rows`."""
    with manifest.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))[: changes.pop("rows", None)]
    for row in rows:
        for column, value in changes.items():
            row.pop(column) if value is None else row.update({column: value})
    file = manifest.parent / name
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return file


@pytest.fixture(scope="module")
def adapted(tiny_model: Path, tiny_manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapt_model(tiny_model, tiny_manifest, tmp_path_factory.mktemp("adapted") / "model", threads=1)


def test_an_adapted_model_recognises_and_says_to_what_it_was_adapted(adapted, tiny_model, tiny_manifest):
    before, after = Recognizer(tiny_model, threads=1), Recognizer(adapted, threads=1)
    assert after.config.revision != before.config.revision
    assert after.config.licence == before.config.licence
    assert after.config.adapted_to.startswith("54 unlabelled clips, 27 s of 6 named speakers")
    card = (adapted / CARD).read_text(encoding="utf-8")
    assert after.config.adapted_to in card and "figures above are those of the unadapted model" in card
    clips = clips_of(tiny_manifest)[:4]
    assert np.exp(scores(after, clips)).sum(axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert np.abs(scores(after, clips) - scores(before, clips)).max() > 0.1
    alone = np.concatenate([scores(after, [clip]) for clip in clips])
    assert alone == pytest.approx(scores(after, clips), abs=1e-2)


def test_labels_are_not_looked_at(adapted, tiny_model, tiny_manifest, tmp_path):
    unlabelled = rewrite(tiny_manifest, "unlabelled.csv", emotion=None, transcript=None)
    wrong = rewrite(tiny_manifest, "wrong.csv", emotion="anger")
    for number, manifest in enumerate((unlabelled, wrong)):
        again = adapt_model(tiny_model, manifest, tmp_path / str(number), threads=1)
        assert (again / ADAPTATION).read_bytes() == (adapted / ADAPTATION).read_bytes()


def test_the_words_side_stays_as_it_was(adapted, tiny_model):
    before, after = (
        Recognizer(folder, threads=1).recognize(transcript="Stop that!") for folder in (tiny_model, adapted)
    )
    assert before.scores == after.scores


def test_speakers_may_be_adapted_to_one_by_one(tiny_model, tiny_manifest, tmp_path):
    by_speaker = Recognizer(adapt_model(tiny_model, tiny_manifest, tmp_path / "m", by="speaker", threads=1), threads=1)
    assert SPEAKERS in by_speaker.config.files
    clip = clips_of(tiny_manifest)[0]
    other = Clip(audio=clip.audio, speaker="s5")
    nobody = Clip(audio=clip.audio)
    told = scores(by_speaker, [clip, other, nobody])
    assert np.abs(told[0] - told[1]).max() > 0.1 and np.abs(told[0] - told[2]).max() > 0.1


def test_few_clips_a_second_adaptation_and_an_existing_folder_are_refused(adapted, tiny_model, tiny_manifest, tmp_path):
    few = rewrite(tiny_manifest, "few.csv", rows=19)
    with pytest.raises(BimodalError, match=r"19 usable clips .* at least 20 are needed"):
        adapt_model(tiny_model, few, tmp_path / "few", threads=1)
    assert not (tmp_path / "few").exists()
    with pytest.raises(BimodalError, match="adapted already"):
        adapt_model(adapted, tiny_manifest, tmp_path / "twice", threads=1)
    with pytest.raises(BimodalError, match="exists already"):
        adapt_model(tiny_model, tiny_manifest, adapted, threads=1)
    nobody = rewrite(tiny_manifest, "nobody.csv", speaker=None)
    with pytest.raises(BimodalError, match="no clip has a speaker"):
        adapt_model(tiny_model, nobody, tmp_path / "nobody", by="speaker", threads=1)


def test_speakers_of_one_clip_each_are_compared_with_one_another(tiny_model, tiny_manifest, tmp_path):
    """A clip alone does not differ from the mean of its speaker; that is no sign of one emotion."""
    with tiny_manifest.open(encoding="utf-8") as stream:
        rows = [row | {"speaker": f"nobody {number}"} for number, row in enumerate(csv.DictReader(stream))]
    apart = tiny_manifest.parent / "apart.csv"
    with apart.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    assert adapt_model(tiny_model, apart, tmp_path / "apart", by="speaker", threads=1).is_dir()


def test_recordings_of_one_emotion_are_refused(tiny_model, tiny_manifest, tmp_path):
    with tiny_manifest.open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["emotion"] == "anger"]
    several = [row | {"id": f"{row['path']} {number}"} for number in range(-(-20 // len(rows))) for row in rows]
    one = tiny_manifest.parent / "one.csv"
    with one.open("w", encoding="utf-8", newline="") as stream:
        table = csv.DictWriter(stream, list(several[0]))
        table.writeheader()
        table.writerows(several)
    with pytest.raises(BimodalError, match=r"one\.csv: the recordings seem to hold mostly one emotion.* use the model"):
        adapt_model(tiny_model, one, tmp_path / "one", threads=1)
    assert not (tmp_path / "one").exists()


def test_an_altered_adaptation_is_refused(adapted, tmp_path):
    import shutil

    from bimodal.errors import ModelFolderError

    shutil.copytree(adapted, tmp_path / "m")
    (tmp_path / "m" / ADAPTATION).write_bytes(b"altered")
    assert (tmp_path / "m" / CONFIG).is_file()
    with pytest.raises(ModelFolderError, match=r"adaptation\.safetensors: altered"):
        Recognizer(tmp_path / "m", threads=1)


def test_the_command_needs_no_torch(tiny_model, tiny_manifest, tmp_path):
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from bimodal.cli import main\n"
        f"sys.argv = ['bimodal', 'adapt', {str(tiny_model)!r}, {str(tiny_manifest)!r}, {str(tmp_path / 'm')!r}, '-q']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "adapted model in" in done.stderr, done.stderr
    assert Recognizer(tmp_path / "m").config.adapted_to
