"""Where pretrained encoders come from: folders and the Hub, weights, licences; each problem is one sentence."""

import pytest

from bimodal.errors import BackboneError
from bimodal.features.backbones.source import (
    card_facts,
    extractor_settings,
    find_pretrained,
    pickled_weights,
    read_config,
)


def test_a_folder_is_named_by_its_own_name(tmp_path):
    folder = tmp_path / "wavlm-base-plus"
    folder.mkdir()
    found = find_pretrained(str(folder))
    assert (found.name, found.folder) == ("wavlm-base-plus", folder)


def test_a_hub_id_without_network_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BackboneError, match=r"Hugging Face Hub is not reachable \(.*\); give a local folder") as caught:
        find_pretrained("nobody-at-all/no-such-encoder")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["wavlm", "/no/such/folder", "../x/y", "a/b/c", "a b/c"])
def test_what_is_neither_a_folder_nor_a_hub_id_is_refused(source):
    with pytest.raises(BackboneError, match="no such folder; give a folder as transformers saves it, or a Hub id"):
        find_pretrained(source)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(BackboneError, match="is a file; give a folder"):
        find_pretrained(str(tmp_path / "model.safetensors"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, r"no config\.json with a model_type"),
        ("{}", r"no config\.json with a model_type"),
        ("[", "not valid JSON"),
        ("[]", "no JSON object"),
    ],
)
def test_a_folder_that_does_not_say_what_it_holds_is_refused(tmp_path, content, complaint):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(BackboneError, match=complaint):
        read_config(tmp_path)


def test_a_feature_extractor_of_another_sampling_rate_is_refused(tmp_path):
    (tmp_path / "preprocessor_config.json").write_text('{"sampling_rate": 48000}')
    with pytest.raises(BackboneError, match="takes 48000 Hz, expected 16000; choose an encoder for speech at 16 kHz"):
        extractor_settings(tmp_path)


def test_weights_are_there_pickled_or_not(tmp_path):
    with pytest.raises(BackboneError, match=r"no weights; found none, expected model\.safetensors"):
        pickled_weights(tmp_path)
    (tmp_path / "tf_model.h5").touch()
    with pytest.raises(BackboneError, match=r"found tf_model\.h5, expected"):
        pickled_weights(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    assert pickled_weights(tmp_path)
    (tmp_path / "model.safetensors").touch()
    assert not pickled_weights(tmp_path)


@pytest.mark.parametrize(
    ("card", "facts"),
    [
        ("---\nlanguage: en\nlicense: apache-2.0\n---\n# X", ("Apache-2.0", ("en",))),
        ("---\nlanguage:\n- de\n- fr\ntags:\n- speech\nlicense: cc-by-nc-4.0\n---", ("CC-BY-NC-4.0", ("de", "fr"))),
        ("---\nlanguage: [en, zh]\nlicense: mit\n---", ("MIT", ("en", "zh"))),
        ("---\nlanguage:\n- multilingual\n- af\nlicense: other\n---", ("", ())),
        ("# license: mit", ("", ())),
    ],
)
def test_licence_and_languages_are_those_of_the_model_card(tmp_path, card, facts):
    (tmp_path / "README.md").write_text(card)
    assert card_facts(tmp_path) == facts
