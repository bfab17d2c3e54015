"""The space of a search: every value is one that the setting takes; what is wrong is one sentence."""

import json
from pathlib import Path

import pytest

from bimodal.config import TrainConfig
from bimodal.errors import ConfigError
from bimodal.evaluation.search.space import DEFAULT_SPACE, read_space, value_of, with_values

PARTS = ["speech", "text", "fusion"]


def space(folder: Path, text: str, parts=PARTS):
    (folder / "space.toml").write_text(text)
    return read_space(folder / "space.toml", TrainConfig(), parts)


def test_lists_and_ranges_of_a_file_are_dimensions(tmp_path):
    text = """
    speech.epochs = {low = 1, high = 9, step = 2}
    speech_backbone = ["whisper-base-4"]
    [speech.loss]
    beta = {low = 0, high = 2}
    [text]
    learning_rate = {low = 1e-4, high = 1e-2, log = true}
    [fusion]
    kind = ["gate", "late", "gate"]
    """
    found = {one.name: one for one in space(tmp_path, text)}
    assert (found["speech.epochs"].whole, found["speech.loss.beta"].whole) == (True, False)
    assert found["fusion.kind"].choices == ("gate", "late")
    assert found["text.learning_rate"].log and found["text.learning_rate"].holds_default
    assert not found["speech.epochs"].holds_default  # 30


def test_a_setting_that_is_a_list_has_lists_as_values(tmp_path):
    (one,) = space(tmp_path, 'speech.statistics = [["mean"], ["mean", "std"]]')
    assert one.choices == (["mean"], ["mean", "std"]) and one.holds_default
    assert with_values(TrainConfig(), {one.name: ["mean"]}).speech.statistics == ("mean",)


def test_the_default_space_holds_the_default_settings_and_only_what_is_trained():
    found = read_space(None, TrainConfig(), PARTS)
    assert [one.name for one in found] == list(DEFAULT_SPACE) and all(one.holds_default for one in found)
    assert {one.name.partition(".")[0] for one in read_space(None, TrainConfig(), ["text"])} == {"text"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("speech.lr = [1]", r"speech\.lr: unknown key 'lr', expected one of"),
        ("speech.learning_rat = [1]", r"did you mean 'learning_rate'\?"),
        ("colour.x = [1]", "unknown key 'colour'"),
        ("speech.epochs = {low = 1.5, high = 3}", r"speech\.epochs: Expected `int`, got `float`"),
        ("speech.dropout = {low = 0.1, high = 2}", r"speech\.dropout: Expected `float` < 1\.0"),
        ("fusion.kind = ['x']", r"fusion\.kind: Invalid enum value 'x'.* expected one of 'gate'"),
        ("fusion.kind = {low = 'gate', high = 'late'}", "is no number, so it has no range; list its values"),
        ("speech.statistics = ['mean']", "Expected `array`, got `str`"),
        ("speech.loss.beta = {low = 2, high = 1}", "the range from 2 to 1 is empty; low must be below high"),
        ("speech.loss.beta = {low = 1, high = 1}", "is empty"),
        ("speech.loss.beta = {low = 0, high = 1, log = true}", "a logarithmic range begins above 0"),
        ("speech.loss.beta = {low = 0}", "needs low and high"),
        ("speech.loss.beta = {low = 0, high = 1, q = 2}", "unknown key 'q', expected low, high, log, step"),
        ("speech.ensemble_size = {low = 1, high = 4, step = 0.5}", "takes whole numbers, found step = 0.5"),
        ("speech.loss.beta = 1", r"speech\.loss\.beta is 1, expected a list of values"),
        ("text.dropout = []", "has no value"),
        ("", "names no setting"),
        ("vocabulary = ['ekman7']", "cannot be searched: it says what is measured"),
        ("seed = {low = 0, high = 9}", "cannot be searched"),
        ("speech = [1]", "'speech' is a table"),
        ("speech.epochs = [1", "not valid TOML"),
    ],
)
def test_a_bad_space_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises(ConfigError, match=sentence) as error:
        space(tmp_path, text)
    assert str(error.value).startswith(str(tmp_path / "space.toml")) and "\n" not in str(error.value)


def test_a_setting_of_a_stage_that_nothing_trains_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="nothing to train the text stage on; leave it out"):
        space(tmp_path, "text.dropout = [0.1, 0.2]", ["speech"])


def test_values_are_found_by_their_whole_names():
    config = with_values(TrainConfig(), {"speech.loss.beta": 0.25, "distance_exponent": 1.0})
    assert (value_of(config, "speech.loss.beta"), value_of(config, "distance_exponent")) == (0.25, 1.0)
    assert json.dumps(value_of(config, "speech.tta")) == "[]"
