"""What both tunings share: the settings that say what is tuned on hold for speech and for text."""

import csv
import shutil
from pathlib import Path

import pytest

from bimodal.config import SpeechHeadConfig, TuneSpeechConfig, TuneTextConfig, read_config
from bimodal.errors import ConfigError, TrainingError
from bimodal.training.tune import read_tuning_data
from bimodal.training.tune_speech import tune_speech
from bimodal.training.tune_text import tune_text


def tune(config: TuneSpeechConfig | TuneTextConfig, manifest: Path, out: Path) -> Path:
    if isinstance(config, TuneSpeechConfig):
        return tune_speech(manifest, out, config, out / "cache")
    return tune_text(manifest, out, config)


@pytest.fixture(params=["speech", "text"])
def settings(request, tiny_whisper, tiny_bert) -> TuneSpeechConfig | TuneTextConfig:
    """Settings of each tuning under which it takes seconds."""
    if request.param == "text":
        return TuneTextConfig(source=str(tiny_bert), epochs=1, threads=1, precision="float32")
    head = SpeechHeadConfig(pca_components=0, ensemble_size=1, epochs=1, min_steps=0)
    return TuneSpeechConfig(source=str(tiny_whisper), epochs=1, threads=1, layers=(2, 3), head=head)


def relabelled(manifest: Path, folder: Path, **labels: str) -> Path:
    """The corpus in another folder, with other labels."""
    file = shutil.copytree(manifest.parent, folder) / manifest.name
    with manifest.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"emotion": labels.get(row["emotion"], row["emotion"])} for row in rows)
    return file


def test_rows_of_several_emotions_are_left_out_where_the_settings_say_so(settings, tiny_manifest, tmp_path):
    manifest = relabelled(tiny_manifest, tmp_path / "corpus", happiness="happiness|anger", sadness="sadness|anger")
    (tmp_path / "drop.toml").write_text("multiple_labels = 'drop'")
    assert tune(settings, manifest, tmp_path / "out").is_dir()
    with pytest.raises(TrainingError, match="fewer than 2 emotions"):
        tune(read_config(settings, tmp_path / "drop.toml"), manifest, tmp_path / "out")


def test_a_vocabulary_file_is_found_beside_the_settings_and_not_beside_the_manifest(settings, tiny_manifest, tmp_path):
    elsewhere = relabelled(tiny_manifest, tmp_path / "corpus")
    (tmp_path / "settings").mkdir()
    entries = '[map]\nanger="tense"\nhappiness="good"\nsadness="tense"\n'
    (tmp_path / "settings" / "own.toml").write_text(f'name="own"\nversion=1\nemotions=["good", "tense"]\n{entries}')
    (tmp_path / "settings" / "tune.toml").write_text('vocabulary = "own.toml"')
    data = read_tuning_data(elsewhere, read_config(settings, tmp_path / "settings" / "tune.toml"))
    assert data.rows.emotions == ("good", "tense") and data.folder == elsewhere.parent
    (tmp_path / "settings" / "own.toml").rename(elsewhere.parent / "own.toml")
    with pytest.raises(ConfigError, match=r"own\.toml"):
        read_tuning_data(elsewhere, read_config(settings, settings=["vocabulary=own.toml"]))
