"""Description of the server: model, limits, licences and forbidden uses."""

from dataclasses import asdict
from typing import Any, Final

import bimodal
from bimodal.records import LAW
from bimodal.service.engine import Engine

FORBIDDEN: Final = (
    "Inferring emotions at work, in hiring or in education, except for medical or safety reasons.",
    "Recording or analysing people who have not been told.",
    "Decisions about a person that are based on its results.",
    "Detecting lies, making diagnoses or assessing character.",
)

LICENCES: Final = {
    "bimodal": "Apache-2.0",
    "whisper-base (speech backbone)": "MIT",
    "all-MiniLM-L6-v2 (text backbone)": "Apache-2.0",
    "Silero VAD": "MIT",
    "EmoDB (samples of the page)": "CC0-1.0",
}


def describe_model(engine: Engine) -> dict[str, Any]:
    """Description of the model."""
    config = engine.recognizer.config
    return {
        "name": config.name,
        "version": config.version,
        "revision": config.revision,
        "emotions": config.emotions,
        "hears_speech": config.speech is not None and not config.speech.columns,
        "reads_text": config.text is not None,
        "transcribes": engine.transcriber is not None,
        "prediction_sets": engine.recognizer.model.prediction_sets is not None,
        "licence": config.licence,
        "trained_on": config.trained_on,
    }


def describe_server(engine: Engine) -> dict[str, Any]:
    """Description of the server."""
    return {
        "name": "bimodal",
        "version": bimodal.__version__,
        "purpose": "Recognises the emotion that speech expresses, from voice and words. It does not know what a person "
        "feels.",
        "law": LAW,
        "forbidden_uses": FORBIDDEN,
        "privacy": "Requests are not stored, and their content is not logged. Results of jobs are kept in memory for "
        f"{engine.limits.kept_seconds:g} s.",
        "licences": LICENCES,
        "limits": asdict(engine.limits),
    }
