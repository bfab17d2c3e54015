"""Speak one utterance with eSpeak NG, in a separate process; the package never imports this module.

eSpeak NG is licensed under the GPL-3.0, and it keeps state: the second utterance of a process depends on the first. So
every utterance gets a fresh process: a request as JSON on standard input, a mono PCM16 WAV on standard output. Only the
standard library is imported, because starting the interpreter is most of the work.
"""

import ctypes
import json
import sys
import wave
from typing import Any, NoReturn

SYNCHRONOUS = 2
DONT_EXIT = 0x8000
CHARACTERS = 1
UTF8 = 1
PARAMETERS = {"rate": 1, "word_gap": 7}

Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def stop(message: str) -> NoReturn:
    """End the process with a message for the parent process."""
    sys.stderr.write(message)
    sys.exit(1)


def speak(request: dict[str, Any]) -> tuple[int, bytes]:
    """Sampling rate and little-endian PCM16 samples of `request["text"]`.

    Args:
        request: `library` and `data` (paths), `voice` (for example `en-us+variant`), `text`, and `parameters`: `rate`
            in words per minute and `word_gap` in steps of 10 ms.
    """
    espeak = ctypes.CDLL(request["library"])
    sampling_rate = espeak.espeak_Initialize(SYNCHRONOUS, 0, request["data"].encode(), DONT_EXIT)
    if sampling_rate <= 0:
        stop(f"eSpeak NG finds no data in {request['data']}")
    espeak.espeak_ng_SetRandSeed(ctypes.c_long(1))  # without a seed, breath and flutter depend on the time
    if espeak.espeak_SetVoiceByName(request["voice"].encode()) != 0:
        stop(f"eSpeak NG has no voice {request['voice']}")
    for name, value in request["parameters"].items():
        espeak.espeak_SetParameter(PARAMETERS[name], value, 0)
    chunks: list[bytes] = []

    def collect(samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = Callback(collect)  # the variable keeps it alive while the library calls it
    espeak.espeak_SetSynthCallback(callback)
    text = request["text"].encode()
    espeak.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, CHARACTERS, 0, UTF8, None, None)
    espeak.espeak_Synchronize()
    return sampling_rate, b"".join(chunks)


if __name__ == "__main__":
    rate, samples = speak(json.load(sys.stdin.buffer))
    with wave.open(sys.stdout.buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.setnframes(len(samples) // 2)  # standard output cannot seek back to correct the header
        file.writeframesraw(samples)
