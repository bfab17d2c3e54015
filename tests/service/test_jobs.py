"""Followers of a job get each result at once, whatever other followers do."""

import asyncio
import io

from bimodal.inference.stream import TimelineConfig
from bimodal.records import Recognition
from bimodal.service.jobs import Job

RESULT = Recognition(emotion="joy", scores={"joy": 1.0}, speech_scores=None, text_scores=None, gate=None, end=1.0)


def test_one_follower_takes_no_news_from_another():
    async def follow() -> list[str]:
        job = Job(io.BytesIO(), config=TimelineConfig())
        first, second = job.follow(), job.follow()
        told = [(await anext(one))[0] for one in (first, second)]
        waiting = asyncio.create_task(anext(first))
        await asyncio.sleep(0)  # the first one waits now, the second one not yet
        job.results.append(RESULT)
        job.tell()
        told.append((await waiting)[0])
        told.append((await anext(first))[0])
        told.append((await asyncio.wait_for(anext(second), 5))[0])
        return told

    assert asyncio.run(follow()) == ["progress", "progress", "result", "progress", "result"]
