"""Files of finished parts: a damaged one is told, and never counts as finished."""

import pytest

from bimodal.errors import BimodalError
from bimodal.scale.records import Batch, Outcome
from bimodal.scale.results import count_failures, finish_part, is_finished, keep_piece, results_file
from bimodal.scale.tables import failure_table, to_bytes


def finish(folder) -> None:
    """A part with no result and no failure."""
    empty = to_bytes(failure_table([]))
    keep_piece(folder, Batch(part=0, start=0, end=1), Outcome(results=empty, failures=empty, recordings=1))
    finish_part(folder, 0)


@pytest.mark.parametrize(("kind", "look"), [("results", is_finished), ("failures", count_failures)])
def test_a_damaged_part_is_a_sentence_and_is_done_again_once_it_is_deleted(kind, look, tmp_path):
    finish(tmp_path)
    assert is_finished(tmp_path, 0) and count_failures(tmp_path, 1) == 0
    file = results_file(tmp_path, 0, kind)
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(BimodalError, match=rf"{kind}/part-00000\.parquet: damaged .*; delete .*results/part-00000"):
        look(tmp_path, 0 if kind == "results" else 1)
    results_file(tmp_path, 0).unlink()
    assert not is_finished(tmp_path, 0)
    finish(tmp_path)
    assert is_finished(tmp_path, 0) and count_failures(tmp_path, 1) == 0
