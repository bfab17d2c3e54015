"""Vocabularies and maps: every word leads somewhere, is dropped with a reason, or is refused by name."""

import json
import pickle
import re
from dataclasses import asdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bimodal.data.labels import (
    GROUPINGS,
    MERGES,
    SYNONYMS,
    VOCABULARIES,
    custom,
    emotion_map,
    find_map,
    read_emotion_map,
    split_labels,
    vocabulary,
)
from bimodal.errors import ConfigError, ManifestError
from bimodal.files import read_toml

SIZES = {
    "ekman7": 7, "iemocap4": 4, "iemocap6": 6, "ravdess8": 8, "acted4": 4, "emotion2vec9": 9, "plutchik8": 8,
    "sentiment3": 3,
}  # fmt: skip


def test_the_built_in_vocabularies_have_the_sizes_in_their_names():
    assert {name: len(entry.emotions) for name, entry in VOCABULARIES.items()} == SIZES
    assert vocabulary().name == "ekman7"


@pytest.mark.parametrize("name", SIZES)
def test_a_built_in_map_keeps_every_emotion_of_its_vocabulary_and_knows_every_synonym(name):
    mapping = emotion_map(name)
    for emotion in mapping.vocabulary.emotions:
        assert mapping.apply(emotion) == emotion
    for words in SYNONYMS.values():
        for word in words:
            assert mapping.apply(word) in (None, *mapping.vocabulary.emotions)


def test_no_word_stands_for_two_emotions():
    words = [word for emotion, others in SYNONYMS.items() for word in (emotion, *others)]
    assert len(words) == len(set(words))


def test_the_usual_spellings_of_corpora_lead_to_one_emotion():
    apply = emotion_map("ekman7").apply
    assert {apply(word) for word in ("happy", "Joy", " JOYFUL ", "hap")} == {"happiness"}
    assert {apply(word) for word in ("angry", "ang", "mad")} == {"anger"}
    assert (apply("sad"), apply("scared"), apply("fearful"), apply("disgusted")) == (
        "sadness",
        "fear",
        "fear",
        "disgust",
    )
    assert (apply("surprised"), apply("neu")) == ("surprise", "neutral")


def test_an_emotion_without_a_place_is_dropped_with_its_reason():
    mapping = emotion_map("ekman7")
    for word in ("calm", "boredom", "peaceful", "powerful", "excited", "frustrated", "mixed", "optimism", "xxx"):
        assert mapping.apply(word) is None
        assert "has no place in ekman7" in mapping.drop_reason(word)


def test_excitement_counts_as_happiness_only_where_the_literature_does_so():
    places = {name: emotion_map(name).apply("excited") for name in ("iemocap4", "iemocap6", "acted4")}
    assert places == {"iemocap4": "happiness", "iemocap6": "excitement", "acted4": None}
    assert set(MERGES) == {"iemocap4", "sentiment3"}


def test_surprise_has_no_sentiment_and_joy_is_plutchiks_word():
    assert emotion_map("sentiment3").apply("surprise") is None
    assert emotion_map("sentiment3").apply("mad") == "negative"
    assert emotion_map("plutchik8").apply("happy") == "joy"


def test_an_unknown_word_is_refused_with_the_nearest_known_words():
    with pytest.raises(ManifestError, match=r"unknown emotion 'hapy', expected one of \['happy'"):
        emotion_map().apply("hapy")
    with pytest.raises(ManifestError, match="unknown emotion ''"):
        emotion_map().apply("")
    with pytest.raises(ManifestError, match="unknown emotion 'qqqq'"):
        emotion_map().drop_reason("qqqq")


def test_a_vocabulary_of_ones_own_keeps_its_order_and_may_tell_synonyms_apart():
    own = custom(["joyful", "happy", "mad"])
    mapping = emotion_map(own)
    assert own.emotions == ("joyful", "happy", "mad")
    assert [own.target(emotion) for emotion in own.emotions] == [0, 1, 2]
    assert (mapping.apply("joyful"), mapping.apply("happy"), mapping.apply("anger")) == ("joyful", "happy", "mad")
    with pytest.raises(ManifestError, match="unknown emotion 'joy'"):
        mapping.apply("joy")


def test_vocabularies_and_maps_can_be_written_as_json_and_sent_to_another_process():
    mapping = emotion_map("acted4")
    assert pickle.loads(pickle.dumps(mapping)) == mapping
    assert json.loads(json.dumps(asdict(mapping)))["vocabulary"]["emotions"] == list(mapping.vocabulary.emotions)


@pytest.mark.parametrize("emotions", [[], ["calm"], ["a", "a"], ["a", "A"], ["a", ""], ["a", " b"]])
def test_a_list_that_is_no_vocabulary_is_refused(emotions):
    with pytest.raises(ConfigError):
        custom(emotions)


def test_a_built_in_name_cannot_be_taken_and_a_wrong_one_is_answered_with_the_valid_ones():
    with pytest.raises(ConfigError, match="built in"):
        custom(["a", "b"], name="ekman7")
    with pytest.raises(ConfigError, match=r"unknown vocabulary 'ekman', expected one of \['acted4'"):
        vocabulary("ekman")
    with pytest.raises(ConfigError, match="has no 'boredom'"):
        vocabulary().target("boredom")


def test_a_map_of_ones_own_is_read_from_toml(tmp_path):
    file = tmp_path / "studio.toml"
    file.write_text(
        'name = "studio"\nversion = 3\nvocabulary = "ekman7"\n[map]\nGrumpy = "anger"\nsleepy = ""\n', encoding="utf-8"
    )
    mapping = read_emotion_map(file)
    assert (mapping.name, mapping.version, mapping.vocabulary) == ("studio", 3, vocabulary("ekman7"))
    assert (mapping.apply("grumpy"), mapping.apply("anger"), mapping.apply("sleepy")) == ("anger", "anger", None)
    assert mapping.drop_reason("sleepy") == "'sleepy' has no place in ekman7"
    with pytest.raises(ManifestError, match="unknown emotion 'happy'"):
        mapping.apply("happy")


def test_a_map_of_ones_own_may_bring_its_own_emotions(tmp_path):
    file = tmp_path / "calls.toml"
    file.write_text(
        'name = "calls"\nversion = 1\nemotions = ["upset", "fine"]\n[map]\nmad = "upset"\n', encoding="utf-8"
    )
    assert read_emotion_map(file).vocabulary.emotions == ("upset", "fine")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("name = ", "not a TOML file"),
        ("[map]\n", "name (text) and version"),
        ('name="a"\nversion=true\nvocabulary="ekman7"\n', "version (whole number)"),
        ('name="a"\nversion=1\n', "either vocabulary"),
        ('name="a"\nversion=1\nvocabulary="ekman7"\nemotions=["a","b"]\n', "either vocabulary"),
        ('name="a"\nversion=1\nvocabulary="ekman"\n', "unknown vocabulary 'ekman'"),
        ('name="a"\nversion=1\nvocabulary=["ekman7"]\n', "vocabulary must be text"),
        ('name="a"\nversion=1\nemotions=[1, 2]\n', "emotions a list of texts"),
        ('name="a"\nversion=1\nemotions="ab"\n', "emotions a list of texts"),
        ('name="a"\nversion=1\nvocabulary="ekman7"\nmaps=1\n', "unknown keys ['maps']"),
        ('name="a"\nversion=1\nvocabulary="ekman7"\nmap=1\n', "[map] must be a table"),
        ('name="a"\nversion=1\nvocabulary="ekman7"\n[map]\nx="sadnes"\n', "[map] x leads to 'sadnes'"),
        ('name="a"\nversion=1\nvocabulary="ekman7"\n[map]\nx="anger"\nX="fear"\n', "twice"),
    ],
)
def test_a_map_that_is_wrong_is_refused_with_file_and_reason(tmp_path, content, complaint):
    file = tmp_path / "own.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(complaint)) as caught:
        read_emotion_map(file)
    assert str(file) in str(caught.value)


def test_a_map_that_is_missing_or_not_text_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_emotion_map(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a TOML file"):
        read_emotion_map(tmp_path / "binary.toml")


def test_several_labels_of_a_cell_weigh_the_same_and_one_without_a_place_leaves_its_mass_to_the_others():
    shares = emotion_map("ekman7").shares
    assert shares("joy|anger") == {"happiness": 0.5, "anger": 0.5}
    assert shares("joy | happy") == {"happiness": 1.0}
    assert shares("calm|sad|sad|fear") == {"sadness": 2 / 3, "fear": 1 / 3}
    assert shares("calm|boredom") == {} and shares("joy") == {"happiness": 1.0}
    with pytest.raises(ManifestError, match="unknown emotion 'hapy'"):
        shares("joy|hapy")
    assert emotion_map("ekman7").drop_reason("calm|boredom") == "none of several labels has a place in ekman7"
    assert split_labels("|") == ("|",)


@pytest.mark.parametrize("name", GROUPINGS)
def test_a_published_grouping_is_versioned_knows_its_labels_and_the_usual_words(name):
    target, groups = GROUPINGS[name]
    mapping = find_map(name)
    assert (mapping.name, mapping.version, mapping.vocabulary) == (name, 1, vocabulary(target))
    for emotion, labels in groups.items():
        assert {mapping.apply(label) for label in labels.split()} == {emotion or None}
    assert mapping.apply("hap") == "happiness"


def test_a_map_is_found_by_name_or_file_and_else_the_names_are_told(tmp_path):
    (tmp_path / "mine.toml").write_text('name="mine"\nversion=2\nemotions=["up", "down"]\n[map]\njoy="up"\n')
    assert find_map("mine.toml", tmp_path).apply("joy") == "up"
    assert find_map("ekman7") == emotion_map("ekman7")
    with pytest.raises(ConfigError, match=r"unknown vocabulary 'ekman'.*goemotions-ekman7.*\.toml"):
        find_map("ekman")


NAMES = st.text(min_size=1, max_size=12)
fuzzed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def quoted(text: str) -> str:
    """A text as TOML; JSON differs in DEL alone."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@given(table=st.dictionaries(NAMES, st.sampled_from([*vocabulary("ekman7").emotions, ""]), max_size=8))
@fuzzed
def test_any_map_is_read_back_from_toml(tmp_path, table):
    lines = [f"{quoted(label)} = {quoted(emotion)}" for label, emotion in table.items()]
    head = ['name = "any"', "version = 1", 'vocabulary = "ekman7"', "[map]"]
    (tmp_path / "any.toml").write_text("\n".join([*head, *lines]), encoding="utf-8")
    words = [label.strip().lower() for label in table]
    if len(set(words)) < len(words):
        with pytest.raises(ConfigError, match="twice"):
            read_emotion_map(tmp_path / "any.toml")
        return
    mapping = read_emotion_map(tmp_path / "any.toml")
    for label, emotion in table.items():
        assert mapping.apply(label) == (emotion or None)
        assert mapping.apply(f" {label}\t") == (emotion or None)


@given(content=st.text() | st.binary())
@fuzzed
def test_any_content_is_a_map_or_one_sentence(tmp_path, content):
    file = tmp_path / "any.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError):
        read_emotion_map(file)


@pytest.mark.parametrize("content", ["x = " + "[" * 20_000, "version = " + "9" * 5000])
def test_absurd_depth_and_digits_are_one_sentence(tmp_path, content):
    (tmp_path / "deep.toml").write_text(content)
    with pytest.raises(ConfigError, match="not a TOML file"):
        read_emotion_map(tmp_path / "deep.toml")
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_toml(tmp_path / "deep.toml")
