"""Recognises the emotion expressed in speech from both what is heard and what is said."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bimodal.inference.recognizer import Recognizer
    from bimodal.records import Clip, Recognition, Turn
    from bimodal.service.client import Client

__all__ = ["Client", "Clip", "Recognition", "Recognizer", "Turn", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import bimodal` costs nothing."""
    if name == "Recognizer":
        from bimodal.inference.recognizer import Recognizer

        return Recognizer
    if name == "Client":
        from bimodal.service.client import Client

        return Client
    if name in ("Clip", "Recognition", "Turn"):
        from bimodal import records

        return getattr(records, name)
    raise AttributeError(f"module 'bimodal' has no attribute '{name}'")
