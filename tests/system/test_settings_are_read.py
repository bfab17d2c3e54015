"""Every setting of every stage is read by something: one that nothing reads must not be accepted."""

import csv
import re
import shutil
import sys
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bimodal import config as settings
from bimodal.config import STAGE_CONFIGS, LossConfig, TrainConfig, read_config
from bimodal.training.train import train
from bimodal.training.tune import read_tuning_data
from bimodal.training.tune_speech import tune_speech
from bimodal.training.tune_text import tune_text

SOURCE = str(Path(settings.__file__).parent)
WRITERS = {"_identity", "write_json"}
"""Functions that write all settings down, whatever they are: no use of any."""
CHECKED = {**STAGE_CONFIGS, "train": TrainConfig, "loss": LossConfig}


def watched(record: Any, seen: set[tuple[str, str]]) -> Any:
    """The same settings, where a reading by our own code is noted: name of the record's class, name of the setting."""
    kind = type(record)
    names = {item.name for item in fields(kind)}

    def read(self: Any, name: str) -> Any:
        frame = sys._getframe(1)
        ours = frame.f_code.co_filename.startswith(SOURCE) and frame.f_code.co_filename != settings.__file__
        if name in names and ours and frame.f_code.co_name not in WRITERS:
            seen.add((kind.__name__, name))
        return object.__getattribute__(self, name)

    values = {name: getattr(record, name) for name in names}
    nested = {name: watched(value, seen) if is_dataclass(value) else value for name, value in values.items()}
    return type(kind.__name__, (kind,), {"__getattribute__": read})(**nested)


FAST = (
    "speech.epochs=1", "speech.min_steps=0", "speech.pca_components=4", "text.epochs=1", "text.min_steps=0",
    "fusion.epochs=1", "fusion.min_steps=0", "fusion.n_folds=2", "threads=1",
)  # fmt: skip
CASES = {
    "all": (*FAST, "speech.speaker_shrinkage=1", "speech.speaker_shift_prob=0.5", "fusion.pairing=label_matched"),
    "speaker statistics and dialogue": (*FAST, "speech.speaker_stats=[0,1]", "text.context=1", "split_by=utterance"),
    "plain words": (*FAST, "fusion.kind=plain_words"),
}


@pytest.fixture(scope="module")
def seen(tiny_manifest, tiny_whisper, tiny_bert, tmp_path_factory) -> set[tuple[str, str]]:
    """What small runs of training and tuning read, together."""
    found: set[tuple[str, str]] = set()
    folder = tmp_path_factory.mktemp("runs")
    published = shutil.copytree(tiny_manifest.parent, folder / "published") / tiny_manifest.name
    published.write_text(re.sub("s1,train", "s1,dev", tiny_manifest.read_text()))
    for name, chosen in CASES.items():
        config = watched(read_config(TrainConfig(), settings=chosen), found)
        train(published if name == "all" else tiny_manifest, folder / name, config, folder / "cache")
    quick = ["epochs=1", "threads=1", "precision=float32"]
    speech = read_config(settings.TuneSpeechConfig(source=str(tiny_whisper), layers=(2, 3)), settings=quick)
    head = replace(speech.head, epochs=1, min_steps=0, pca_components=0, augmentations=())
    tune_speech(tiny_manifest, folder / "speech", watched(replace(speech, head=head), found), folder / "cache")
    text = read_config(settings.TuneTextConfig(source=str(tiny_bert)), settings=quick)
    tune_text(tiny_manifest, folder / "text", watched(text, found))
    for config in (speech, text):
        read_tuning_data(published, watched(config, found))
    return found


@pytest.mark.parametrize("stage", CHECKED)
def test_every_setting_of_a_stage_is_read_by_something(stage, seen):
    kind = CHECKED[stage]
    unread = {item.name for item in fields(kind)} - {name for owner, name in seen if owner == kind.__name__}
    assert not unread, f"{kind.__name__} accepts {sorted(unread)}, which nothing reads: take them out of the record"


def test_every_stage_and_record_of_the_configuration_is_checked():
    """A new stage's record cannot be forgotten here."""
    found = {kind for kind in vars(settings).values() if isinstance(kind, type) and is_dataclass(kind)}
    checked = set(CHECKED.values())
    bases = {base for kind in checked for base in kind.__mro__}
    assert found <= bases


def test_a_setting_that_nothing_reads_would_be_found(tmp_path):
    """The watch itself: what only the run's identity takes in counts as unread."""
    found: set[tuple[str, str]] = set()
    config = watched(LossConfig(), found)
    with (tmp_path / "one.csv").open("w") as stream:
        csv.writer(stream).writerow([config.gamma, config.beta])
    assert found == set()
