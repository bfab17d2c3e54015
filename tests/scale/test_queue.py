"""A job whose worker ended is done again, then in halves; a recording that no worker survives is given up."""

import pytest

from bimodal.errors import BimodalError
from bimodal.scale.queue import MOST_LOST, RETRIES, Job, Queue
from bimodal.scale.records import Batch, Item


def job(count: int) -> Job:
    return Job(batch=Batch(part=0, start=0, end=count), items=[Item(name=str(number)) for number in range(count)])


def test_a_lost_job_comes_back_whole_and_first():
    told: list[str] = []
    queue = Queue(iter([job(4), job(2)]), told.append)
    queue.take_back(queue.take(), "it was killed by signal 9")
    again = queue.take()
    assert (again.batch.start, again.batch.end) == (0, 4) and queue.lost == 1
    assert told == ["a worker ended (it was killed by signal 9); its batch of 4 recordings is done again"]


@pytest.mark.parametrize("poison", [0, 3, 8])
def test_only_the_recording_that_ends_workers_is_given_up(poison):
    queue, done = Queue(iter([job(9)]), lambda line: None), []
    while (taken := queue.take()) is not None:
        if any(item.name == str(poison) for item in taken.items):
            queue.take_back(taken, "it ended")
        else:
            done += [item.name for item in taken.items]
            queue.done()
    ((given_up, reason),) = queue.hopeless
    assert [item.name for item in given_up.items] == [str(poison)] and f"{RETRIES} times" in reason
    assert sorted(done) == [str(number) for number in range(9) if number != poison]


def test_the_ranges_of_halves_fit_their_recordings():
    queue = Queue(iter([job(5)]), lambda line: None)
    for _ in range(2):
        queue.take_back(queue.take(), "it ended")
    first, second = queue.take(), queue.take()
    assert [(one.batch.start, one.batch.end) for one in (first, second)] == [(0, 2), (2, 5)]
    assert [item.name for item in second.items] == ["2", "3", "4"]


def test_workers_that_all_end_stop_the_run():
    queue = Queue((job(1) for _ in range(1000)), lambda line: None)
    with pytest.raises(BimodalError, match="fewer --workers"):
        for _ in range(MOST_LOST + 1):
            queue.take_back(queue.take(), "it ended")
