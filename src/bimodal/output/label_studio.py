"""Results as a task of Label Studio with predictions, which annotators see and correct.

The names are those that `bimodal convert` reads and writes: each stretch is a region `stretch`, its emotion a choice
`emotion` of that region. A speaker is the region's note.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, TextIO
from urllib.parse import quote

from bimodal.errors import BimodalError
from bimodal.output.marks import encodable, one_line, times_of
from bimodal.records import Recognition

_LOCAL: Final = "/data/local-files/?d="
"""How Label Studio names a file of its local storage."""


def write_label_studio(found: Iterable[tuple[str, Recognition]], stream: TextIO) -> None:
    """One task for `Import` in Label Studio: the recording, its words, and a prediction with all stretches.

    Args:
        found: Name of the recording and result, one after the other. Label Studio's local storage must hold a file of
            that name.
        stream: Text stream in UTF-8.

    Raises:
        BimodalError: No results, or results without times.
    """
    named = list(found)
    if not named:
        raise BimodalError("no results to write as labelstudio")
    recording, results = named[0][0], [result for _, result in named]
    regions = [mark for number, result in enumerate(results, start=1) for mark in _region(result, f"stretch{number}")]
    scores = [result.scores[result.emotion] for result in results if result.emotion is not None]
    prediction = {
        "model_version": f"{one_line(results[0].model)} {results[0].revision}".strip(),
        "score": round(sum(scores) / len(scores), 4) if scores else 0.0,
        "result": regions,
    }
    words = " ".join(one_line(result.transcript) for result in results if result.transcript)
    data = {"audio": _LOCAL + quote(encodable(recording) or ""), "text": words}
    json.dump([{"data": data, "predictions": [prediction]}], stream, ensure_ascii=False, indent=1)
    stream.write("\n")


def _region(result: Recognition, name: str) -> Iterator[dict[str, Any]]:
    """A stretch, and its emotion unless the model abstained."""
    start, end = times_of(result, "labelstudio")
    times = {"start": start / 1000, "end": end / 1000}
    region = {"id": name, "to_name": "audio", "origin": "prediction"}
    notes = {} if result.speaker is None else {"meta": {"text": [one_line(result.speaker)]}}
    yield {**region, **notes, "from_name": "stretch", "type": "labels", "value": {**times, "labels": ["utterance"]}}
    if result.emotion is not None:
        score = round(result.scores[result.emotion], 4)
        choice = {**times, "choices": [result.emotion]}
        yield {**region, "from_name": "emotion", "type": "choices", "score": score, "value": choice}
