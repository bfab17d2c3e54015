"""What the server says of itself: model, limits, licences, and what it must not be used for."""

from dataclasses import asdict
from typing import Any, Final

import bimodal
from bimodal.records import LAW
from bimodal.service.engine import Engine

FORBIDDEN: Final = (
    "Inferring emotions at work, in hiring or in education, except for medical or safety reasons.",
    "Recording or judging people who have not been told.",
    "Decisions about a person that rest on its answers.",
    "Detecting lies, diagnosing, or judging character.",
)

LICENCES: Final = {
    "bimodal": "Apache-2.0",
    "whisper-base (speech backbone)": "MIT",
    "all-MiniLM-L6-v2 (text backbone)": "Apache-2.0",
    "Silero VAD": "MIT",
    "wavesurfer.js (page)": "BSD-3-Clause",
}


def describe_model(engine: Engine) -> dict[str, Any]:
    """The model that answers."""
    config = engine.recognizer.config
    return {
        "name": config.name,
        "version": config.version,
        "revision": config.revision,
        "emotions": config.emotions,
        "hears_speech": config.speech is not None and not config.speech.columns,
        "reads_text": config.text is not None,
        "transcribes": engine.transcriber is not None,
        "licence": config.licence,
        "trained_on": config.trained_on,
    }


def describe_server(engine: Engine) -> dict[str, Any]:
    """The server as a whole."""
    return {
        "name": "bimodal",
        "version": bimodal.__version__,
        "purpose": "Recognises the emotion expressed in speech, as perceived, from what is heard and what is said. It "
        "does not tell what somebody feels.",
        "law": LAW,
        "forbidden_uses": FORBIDDEN,
        "privacy": "Nothing of a request is stored, and nothing of its content is logged. Results of jobs are kept in "
        f"memory for {engine.limits.kept_seconds:g} s.",
        "licences": LICENCES,
        "limits": asdict(engine.limits),
    }
