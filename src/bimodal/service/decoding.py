"""Decode uploads in processes with little memory and time, so that a harmful recording affects nothing else."""

import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from typing import IO, Any, Final

import numpy as np

from bimodal.audio.decode import SAMPLING_RATE, Decoded
from bimodal.errors import tell
from bimodal.service.limits import Limits
from bimodal.service.problems import Problem

_BYTES_PER_SECOND: Final = 16_000 * 4
_LARGEST_ANSWER: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """What to decode, and its limits.

    Attributes:
        whole: True for one signal at 16 kHz, False for a 16 kHz WAV file, written block by block.
        mix: True to average the channels, False to keep them.
        start: Start, in seconds.
        end: End, in seconds.
        max_seconds: Longest recording.
        max_channels: Most channels.
        max_rate: Highest sampling rate, in Hz.
        cpu_seconds: Processor time.
        hint: Whether a longer recording may be sent to `/v1/jobs`.
    """

    whole: bool
    mix: bool = True
    start: float | None = None
    end: float | None = None
    max_seconds: float
    max_channels: int
    max_rate: int
    cpu_seconds: float
    hint: bool


@dataclass(frozen=True, kw_only=True)
class LongRecording:
    """A decoded long recording.

    Attributes:
        file: 16 kHz WAV without a name; closing deletes it.
        duration: In seconds.
        peaks: Largest absolute sample of each interval of equal length.
        warnings: What its results must say.
    """

    file: IO[bytes]
    duration: float
    peaks: list[float] = field(default_factory=list)
    warnings: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Name under which this process can open the file."""
        return f"/dev/fd/{self.file.fileno()}"


class Decoders:
    """Decoding processes. Safe to call from several threads.

    Args:
        limits: Limits of the server.
        count: Number of recordings decoded at the same time.
    """

    def __init__(self, limits: Limits, count: int) -> None:
        self._limits = limits
        self._idle: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        self._all: set[_Process] = set()
        for _ in range(count):
            self._idle.put(None)

    def decode_clip(self, upload: IO[bytes], start: float | None, end: float | None) -> Decoded:
        """An upload, or a part of it, at 16 kHz.

        Raises:
            Problem: The upload cannot be decoded or exceeds a limit.
        """
        limits = self._limits
        options = DecodeOptions(
            whole=True,
            start=start,
            end=end,
            max_seconds=limits.clip_seconds,
            max_channels=limits.channels,
            max_rate=limits.sampling_rate,
            cpu_seconds=limits.decoding_seconds,
            hint=True,
        )
        with tempfile.TemporaryFile() as out:
            answer = self._ask(options, upload, out)
            out.seek(0)
            signal = np.frombuffer(out.read(), np.float32)
        return Decoded(signal=signal, sampling_rate=SAMPLING_RATE, warnings=tuple(answer["warnings"]))

    def decode_long(self, upload: IO[bytes], mix: bool, max_seconds: float | None = None) -> LongRecording:
        """A long upload as 16 kHz WAV.

        Args:
            upload: The file.
            mix: True to average the channels, False to keep them.
            max_seconds: Longest recording; None for that of a job.

        Raises:
            Problem: As in `decode_clip`.
        """
        limits = self._limits
        options = DecodeOptions(
            whole=False,
            mix=mix,
            max_seconds=max_seconds or limits.job_seconds,
            max_channels=limits.channels,
            max_rate=limits.sampling_rate,
            cpu_seconds=100 * limits.decoding_seconds,
            hint=max_seconds is not None,
        )
        out = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
        try:
            answer = self._ask(options, upload, out)
        except BaseException:
            out.close()
            raise
        return LongRecording(
            file=out, duration=answer["duration"], peaks=answer["peaks"], warnings=tuple(answer["warnings"])
        )

    def close(self) -> None:
        """End all processes; running requests are refused."""
        for process in list(self._all):
            process.end()

    def _ask(self, options: DecodeOptions, upload: IO[bytes], out: IO[bytes]) -> dict[str, Any]:
        process = self._idle.get()
        try:
            if process is None:
                process = _Process(self._limits)
                self._all.add(process)
            answer = process.ask(options, upload, out)
        except (OSError, ValueError) as error:
            if process is not None:
                process.end()
                self._all.discard(process)
            process = None
            raise Problem("unusable", tell("decoding-limit")) from error
        finally:
            self._idle.put(process)
        if "error" in answer:
            raise Problem(answer["kind"], answer["error"])
        return answer


class _Process:
    """A process that decodes one recording after the other."""

    def __init__(self, limits: Limits) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        largest = int(limits.job_seconds * limits.channels * _BYTES_PER_SECOND) + (1 << 20)
        environment = {
            name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ
        }
        with theirs:
            self._process = subprocess.Popen(  # our own interpreter and module
                [sys.executable, "-m", "bimodal.service.decoder"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=environment
                | {
                    "BIMODAL_DECODER_BYTES": str(limits.decoding_bytes),
                    "BIMODAL_DECODER_FILE_BYTES": str(largest),
                    "OMP_NUM_THREADS": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                },
            )
        self._connection = ours

    def ask(self, options: DecodeOptions, upload: IO[bytes], out: IO[bytes]) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises:
            OSError: The process died or took too long.
        """
        self._connection.settimeout(10 + 3 * options.cpu_seconds)
        request = json.dumps(asdict(options)).encode()
        socket.send_fds(self._connection, [request], [upload.fileno(), out.fileno()])
        answer = b""
        while not answer.endswith(b"\n"):
            part = self._connection.recv(_LARGEST_ANSWER)
            if not part or len(answer) > _LARGEST_ANSWER:
                raise OSError("the decoding process ended")
            answer += part
        decoded: dict[str, Any] = json.loads(answer)
        return decoded

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()
        self._connection.close()
