"""Limits of the server. All are active by default."""

import os
from dataclasses import dataclass
from typing import Final

from bimodal.errors import ConfigError

_MOST_THREADS: Final = 1024
_LARGEST: Final = 1 << 48

DISK_FULL: Final = "the server's temporary folder is full; try again later, or with a shorter recording"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the server: sizes in bytes, times in seconds.

    Attributes:
        clip_bytes: Largest request to `/v1/recognize` and the other routes but `/v1/jobs`.
        clip_seconds: Longest recording in it.
        transcription_seconds: Longest recording in a request to `/v1/audio/transcriptions`.
        job_bytes: Largest request to `/v1/jobs`.
        job_seconds: Longest recording in it.
        stream_seconds: Longest live stream, in seconds of audio.
        stream_message_bytes: Largest message on a socket.
        channels: Most channels of a recording.
        sampling_rate: Highest sampling rate of a recording, in Hz.
        text_characters: Longest transcript of a request.
        parts: Most fields of a form.
        upload_seconds: Longest upload to `/v1/recognize`. A job may take ten times as long.
        header_seconds: Longest wait for the header of a request.
        silence_seconds: Longest wait for the next message on a socket.
        deadline: Longest time before `/v1/recognize` starts to work on a request.
        decoding_seconds: Processor time for decoding a clip. A job may take a hundred times as long.
        decoding_bytes: Memory of the decoding process.
        requests: Simultaneous requests with a body, followers of jobs and sockets, each. More get status 503.
        running: Clips that are recognised at the same time; 0 for one per core.
        waiting: Clips in the queue. More get status 503.
        streams: Simultaneous live streams.
        jobs: Jobs that wait or run, and simultaneous uploads of jobs. More get status 503.
        jobs_per_client: Jobs of one address that wait or run. More get status 429.
        kept_jobs: Finished jobs whose results are kept in memory.
        kept_seconds: Time for which they are kept.
        stop_seconds: Time for which a stopping server finishes its work.
    """

    clip_bytes: int = 32 << 20
    clip_seconds: float = 60.0
    transcription_seconds: float = 900.0
    job_bytes: int = 512 << 20
    job_seconds: float = 4 * 3600.0
    stream_seconds: float = 3600.0
    stream_message_bytes: int = 1 << 20
    channels: int = 8
    sampling_rate: int = 192_000
    text_characters: int = 10_000
    parts: int = 20
    upload_seconds: float = 30.0
    header_seconds: float = 10.0
    silence_seconds: float = 30.0
    deadline: float = 60.0
    decoding_seconds: float = 10.0
    decoding_bytes: int = 2 << 30
    requests: int = 128
    running: int = 0
    waiting: int = 64
    streams: int = 8
    jobs: int = 16
    jobs_per_client: int = 4
    kept_jobs: int = 32
    kept_seconds: float = 600.0
    stop_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Refuse limits that would refuse every request."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not value > 0 and (name, value) != ("running", 0):
                raise ConfigError(f"{name} is {value}, expected a positive number")
            most = _MOST_THREADS if name in ("running", "streams") else _LARGEST
            if value > most:
                raise ConfigError(f"{name} is {value}, expected at most {most:g}")

    @property
    def workers(self) -> int:
        """Clips that are recognised at the same time."""
        return self.running or os.cpu_count() or 1
