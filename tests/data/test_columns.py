"""Columns of other programs are found by their names; an index and empty columns are left out."""

import pytest

from bimodal.data.columns import find_sources, index_columns


@pytest.mark.parametrize(
    ("columns", "sources"),
    [
        (
            ["file_name", "transcription", "label"],
            {"path": "file_name", "transcript": "transcription", "emotion": "label"},
        ),
        (["file", "start", "end", "emotion"], {"path": "file", "start": "start", "end": "end", "emotion": "emotion"}),
        (["audio_filepath", "text"], {"path": "audio_filepath", "transcript": "text"}),
        (["Path", "EMOTION", "Speaker"], {"path": "Path", "emotion": "EMOTION", "speaker": "Speaker"}),
        (["Path", "path"], {"path": "path"}),
        (["path", "file", "emotion", "label"], {"path": "path", "emotion": "emotion"}),
        (["key", "wav", "emo"], {"id": "key", "path": "wav", "emotion": "emo"}),
        (["wav", "emo"], {}),
    ],
)
def test_a_field_is_read_from_our_name_or_that_of_another_program(columns, sources):
    assert find_sources(columns) == sources


def test_an_index_in_front_and_empty_columns_hold_nothing():
    assert index_columns(["Unnamed: 0", "path"], [["0", "a"], ["7", "b"]]) == {0}
    assert index_columns(["", "path"], [["a", "b"]]) == set()
    assert index_columns(["path", "", "x"], [["a", "", "b"], ["a", "c", "b"]]) == set()
    assert index_columns(["1", "path"], [["1", "a"]]) == set()
