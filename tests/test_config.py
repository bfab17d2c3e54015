"""Configuration is strict: what is not understood is refused with what would have been."""

from dataclasses import dataclass, field, fields, is_dataclass
from typing import get_args

import pytest

from bimodal.config import (
    Affinity,
    Classification,
    FusionConfig,
    FusionKind,
    LossConfig,
    SpeechConfig,
    StageConfig,
    TrainConfig,
    TuneSpeechConfig,
    TuneTextConfig,
    read_config,
)
from bimodal.errors import ConfigError
from bimodal.moved.settings import RENAMED
from bimodal.records import Statistic


def refusal(settings=(), path=None, default=None) -> str:
    with pytest.raises(ConfigError) as caught:
        read_config(default or TrainConfig(), path, settings)
    return str(caught.value)


def toml(tmp_path, text: str):
    (tmp_path / "train.toml").write_text(text, encoding="utf-8")
    return tmp_path / "train.toml"


def test_nothing_said_leaves_every_default():
    assert read_config(TrainConfig()) == TrainConfig()


def test_an_unknown_key_is_refused_with_the_valid_ones_and_the_nearest(tmp_path):
    sentence = refusal(path=toml(tmp_path, "[speech]\nepoch = 3"))
    assert str(tmp_path / "train.toml") in sentence
    assert "unknown key 'epoch'" in sentence
    assert "'learning_rate'" in sentence
    assert "'pca_components'" in sentence
    assert sentence.endswith("did you mean 'epochs'?")
    assert "did you mean" not in refusal(["zzz=1"])
    assert "did you mean 'gamma'?" in refusal(["text.loss.gama=1"])


def test_a_key_of_another_stage_is_refused():
    assert "unknown key 'pca_components'" in refusal(["text.pca_components=3"])


@pytest.mark.parametrize(
    "setting",
    [
        "speech.epochs=many",
        "speech.epochs=2.5",
        "speech.epochs=true",
        'speech.epochs="5"',
        "speech.epochs.more=1",
        "speech.dropout=yes",
        "name=5",
        "text.loss.affinity=triplet",
        "split_by=clip",
        "speech.columns=f0",
        "speech.columns=[1]",
    ],
)
def test_a_wrong_type_is_refused_where_it_stands(tmp_path, setting):
    sentence = refusal([setting], path=toml(tmp_path, "seed = 3"))
    key = setting.partition("=")[0].split(".")
    assert sentence.startswith(f"--set {setting}: ")
    assert key[0] in sentence.partition(": ")[2]


def test_a_wrong_type_in_a_file_is_blamed_on_the_file(tmp_path):
    path = toml(tmp_path, "[speech]\nepochs = 'many'")
    assert refusal(["seed=3"], path).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [
        ("text.loss.affinity=triplet", get_args(Affinity)),
        ("speech.loss.classification=hinge", get_args(Classification)),
        ("fusion.kind=sum", get_args(FusionKind)),
        ("multiple_labels=hard", ("soft", "drop")),
        ("speech.statistics=['mean', 'mode']", get_args(Statistic)),
    ],
)
def test_a_name_that_is_none_of_those_allowed_is_refused_with_them(setting, allowed):
    assert refusal([setting]).endswith(f", expected one of {', '.join(map(repr, allowed))}")


@pytest.mark.parametrize("setting", ["speech=5", "text.loss=focal"])
def test_a_value_in_place_of_a_table_is_refused(setting):
    assert "is a table" in refusal([setting])


@pytest.mark.parametrize("setting", ["", "speech.epochs", "epochs 5"])
def test_a_setting_without_an_equals_sign_is_refused_with_an_example(setting):
    assert "speech.epochs=5" in refusal([setting])


def test_a_table_in_part_keeps_the_rest_of_the_stages_own_defaults(tmp_path):
    config = read_config(TrainConfig(), toml(tmp_path, "[speech]\nepochs = 3\n[fusion.loss]\ngamma = 3"))
    assert config.speech == SpeechConfig(epochs=3)
    assert config.fusion == FusionConfig(loss=LossConfig(gamma=3.0, beta=0.1))
    assert config.text == TrainConfig().text
    assert (config.speech.hidden_width, config.fusion.hidden_width) == (0, 32)


@dataclass(frozen=True, kw_only=True)
class Two:
    """Two stages of one class whose instances differ."""

    one: StageConfig = field(default_factory=lambda: StageConfig(epochs=7, loss=LossConfig(beta=3.0)))
    other: StageConfig = field(default_factory=StageConfig)


def test_what_is_overlaid_is_the_instance_not_its_class():
    config = read_config(Two(), settings=["one.loss.gamma=0", "other.epochs=2"])
    assert config == Two(one=StageConfig(epochs=7, loss=LossConfig(gamma=0.0, beta=3.0)), other=StageConfig(epochs=2))
    given = Two(other=StageConfig(epochs=9, patience=7))
    assert read_config(given, settings=["other.epochs=2"]) == Two(other=StageConfig(epochs=2, patience=7))


@pytest.mark.parametrize(
    ("setting", "find", "value"),
    [
        ("name=my model", lambda c: c.name, "my model"),
        ('name="5"', lambda c: c.name, "5"),
        ("name=", lambda c: c.name, ""),
        ("name=a=b", lambda c: c.name, "a=b"),
        ("device=cuda:0", lambda c: c.device, "cuda:0"),
        ("speech_backbone=/models/whisper-small", lambda c: c.speech_backbone, "/models/whisper-small"),
        ("speech.learning_rate=2e-4", lambda c: c.speech.learning_rate, 2e-4),
        ("text.dropout=0", lambda c: c.text.dropout, 0.0),
        (" speech.epochs = 5 ", lambda c: c.speech.epochs, 5),
        ("speech.columns=['f0*', \"energy\"]", lambda c: c.speech.columns, ("f0*", "energy")),
        ("speech.columns=[]", lambda c: c.speech.columns, ()),
        ("fusion.loss.affinity=gaussian", lambda c: c.fusion.loss.affinity, "gaussian"),
    ],
)
def test_settings_are_read_as_toml_and_as_text_where_they_are_none(setting, find, value):
    found = find(read_config(TrainConfig(), settings=[setting]))
    assert (found, type(found)) == (value, type(value))


def test_settings_outweigh_the_file_and_later_ones_earlier_ones(tmp_path):
    path = toml(tmp_path, "seed = 1\n[speech]\nepochs = 3\npatience = 2")
    config = read_config(TrainConfig(), path, ["speech.epochs=4", "speech.epochs=5"])
    assert (config.seed, config.speech.epochs, config.speech.patience) == (1, 5, 2)


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path):
    assert "cannot be read" in refusal(path=tmp_path / "none.toml")
    assert "not valid TOML" in refusal(path=toml(tmp_path, "seed = = 3"))
    (tmp_path / "train.toml").write_bytes(b"name = '\xff\xfe'")
    assert "not valid TOML" in refusal(path=tmp_path / "train.toml")


@pytest.mark.parametrize(
    "setting",
    [
        "speech.epochs=-1",
        "speech.batch_size=0",
        "speech.learning_rate=0.0",
        "text.dropout=1.5",
        "text.ema_decay=1.0",
        "fusion.modality_dropout=-0.1",
        "fusion.n_folds=1",
        "speech.embedding_width=0",
        "text.loss.beta=-1",
        "dev_share=1.0",
    ],
)
def test_a_number_out_of_its_range_is_refused(setting):
    assert setting.partition("=")[0].split(".")[-1] in refusal([setting]).partition(": ")[2]


def names_of(record, prefix: str = "") -> list[str]:
    """Dotted names of all settings of a record."""
    found = []
    for item in fields(record):
        value = getattr(record, item.name)
        found += names_of(value, f"{prefix}{item.name}.") if is_dataclass(value) else [prefix + item.name]
    return found


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_key_is_refused_with_the_new_one_named(old, new):
    places = [
        (default, name)
        for default in (TrainConfig(), TuneTextConfig(), TuneSpeechConfig())
        for name in names_of(default)
        if name.split(".")[-1] == new
    ]
    assert places, f"no setting is called {new}"
    for default, name in places:
        setting = ".".join([*name.split(".")[:-1], old]) + "=1"
        expected = f"--set {setting}: the setting '{old}' is now called '{new}'; rename it"
        assert refusal([setting], default=default) == expected


@pytest.mark.parametrize("key", ["ensemble_size", "embedding_norm", "input_noise_std", "input_dropout", "heads"])
def test_a_setting_that_nothing_would_read_is_refused_with_the_stages_that_have_it(key):
    sentence = refusal([f"fusion.{key}=2"])
    assert f"unknown key '{key}' here, which nothing would read; it is a setting of speech, text, tune" in sentence
    assert f"unknown key '{key}'" in refusal([f"{key}=2"], default=TuneSpeechConfig())


@pytest.mark.parametrize("key", ["columns", "tta", "statistics", "speech_only", "speaker_stats"])
def test_a_head_that_is_trained_before_a_tuning_has_no_settings_that_the_tuning_ignores(key):
    assert "it is a setting of speech, expected" in refusal([f"head.{key}=[]"], default=TuneSpeechConfig())


def test_a_vocabulary_file_is_looked_for_beside_the_settings_that_name_it(tmp_path, monkeypatch):
    (tmp_path / "settings").mkdir()
    path = toml(tmp_path / "settings", "vocabulary = 'own.toml'")
    monkeypatch.chdir(tmp_path)
    for default in (TrainConfig(), TuneTextConfig(), TuneSpeechConfig()):
        assert read_config(default, path).vocabulary == str(tmp_path / "settings" / "own.toml")
        assert read_config(default, path, ["vocabulary=own.toml"]).vocabulary == str(tmp_path / "own.toml")
        assert read_config(default, "settings/train.toml").vocabulary == str(tmp_path / "settings" / "own.toml")
        assert read_config(default, path, ["vocabulary=native"]).vocabulary == "native"


@pytest.mark.parametrize(
    ("setting", "most"),
    [
        ("speech.epochs", 100_000), ("speech.min_steps", 1_000_000), ("text.batch_size", 1_000_000),
        ("fusion.n_folds", 1000), ("text.hidden_width", 65_536), ("speech.embedding_width", 65_536),
        ("speech.ensemble_size", 1000), ("speech.pca_components", 65_536), ("text.context", 1000), ("threads", 1024),
        ("speech.learning_rate", 1_000_000.0), ("speech.speaker_stats_strength", 1_000_000.0),
    ],
)  # fmt: skip
def test_a_setting_of_a_billion_is_one_sentence(setting, most):
    for value in ("1000000000", "inf", "nan") if isinstance(most, float) else ("1000000000", "9" * 30):
        with pytest.raises(ConfigError) as told:
            read_config(TrainConfig(), settings=[f"{setting}={value}"])
        assert f"--set {setting}=" in str(told.value) and "\n" not in str(told.value)
    read_config(TrainConfig(), settings=[f"{setting}={most}"])
