"""What the server takes at most; every limit is on by default."""

import os
from dataclasses import dataclass

from bimodal.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the server takes at most; sizes in bytes, times in seconds.

    Attributes:
        clip_bytes: A request to `/v1/recognize`.
        clip_seconds: A recording there.
        job_bytes: A request to `/v1/jobs`.
        job_seconds: A recording there.
        stream_seconds: Audio of one live stream.
        stream_message_bytes: One message on a socket.
        channels: Channels of a recording.
        sampling_rate: Highest sampling rate of a recording, in Hz.
        text_characters: Words of a request.
        parts: Fields of a form.
        upload_seconds: Until a request to `/v1/recognize` has arrived whole; a job may take ten times as long.
        header_seconds: Until the header of a request has arrived.
        silence_seconds: Until the next message on a socket.
        deadline: Until an answer to `/v1/recognize` begins, waiting included.
        decoding_seconds: Processor time for decoding a clip; a job may take a hundred times as long.
        decoding_bytes: Memory of the process that decodes.
        requests: Requests with a body, followers of jobs, sockets, of each at once; more are answered with 503.
        running: Clips that are judged at once; 0 for one per core.
        waiting: Clips that wait for their turn; more are answered with 503.
        streams: Live streams at once.
        jobs: Jobs that wait or run, and those that arrive.
        jobs_per_client: The same of one address; more are answered with 429.
        kept_jobs: Finished jobs whose results are kept in memory.
        kept_seconds: How long they are kept.
        stop_seconds: How long a stopping server finishes what runs.
    """

    clip_bytes: int = 32 << 20
    clip_seconds: float = 60.0
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
        """Refuse limits that let nothing through."""
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not value > 0 and (name, value) != ("running", 0):
                raise ConfigError(f"{name} is {value}, expected a positive number")

    @property
    def workers(self) -> int:
        """Clips that are judged at once."""
        return self.running or os.cpu_count() or 1
