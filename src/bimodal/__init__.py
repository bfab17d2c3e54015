"""Recognises the emotion expressed in speech, from the voice and from the words."""

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bimodal.asr.timed_words import TimedWords
    from bimodal.errors import AudioError, BimodalError
    from bimodal.features.speaker_stats import SpeakerStatsStore
    from bimodal.inference.recognizer import Recognizer
    from bimodal.inference.stream import Stream, TimelineConfig
    from bimodal.output.frame import to_frame
    from bimodal.records import Clip, Explanation, Recognition, Turn
    from bimodal.service.client import Client

__all__ = [
    "AudioError",
    "BimodalError",
    "Client",
    "Clip",
    "Explanation",
    "Recognition",
    "Recognizer",
    "SpeakerStatsStore",
    "Stream",
    "TimedWords",
    "TimelineConfig",
    "Turn",
    "__version__",
    "to_frame",
]
__version__ = "0.1.0"

# onnxruntime 1.29 and later report models and machine to Microsoft unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_PLACES = {
    "AudioError": "errors",
    "BimodalError": "errors",
    "Client": "service.client",
    "Clip": "records",
    "Explanation": "records",
    "Recognition": "records",
    "Recognizer": "inference.recognizer",
    "SpeakerStatsStore": "features.speaker_stats",
    "TimedWords": "asr.timed_words",
    "Stream": "inference.stream",
    "TimelineConfig": "inference.stream",
    "Turn": "records",
    "to_frame": "output.frame",
    "load_ipython_extension": "integrations.notebook",
}
"""The module of each public name, imported when the name is first used: `import bimodal` costs nothing."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'bimodal' has no attribute '{name}'")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"bimodal.{_PLACES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__


class _OldPaths:
    """Last in the list of import finders: an import that fails and names an old module is told the new one."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Never finds anything.

        Raises:
            ImportError: An old path of this package.
        """
        if name.startswith("bimodal."):
            from bimodal.moved import new_place

            if sentence := new_place(name):
                raise ImportError(sentence, name=name)


sys.meta_path.append(_OldPaths)
