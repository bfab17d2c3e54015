"""Results as the command line shows them."""

from pathlib import Path

import msgspec

from bimodal.records import Recognition


def json_line(result: Recognition, path: Path | None) -> str:
    """One result as a line of JSON, with the recording it is of."""
    return msgspec.json.encode({"path": None if path is None else str(path), **result.to_dict()}).decode()


def for_people(result: Recognition, path: Path | None) -> str:
    """One result as lines: what, how sure, and what each side said."""
    lines = [f"{path or 'words alone'}: {result.emotion or f'no answer ({result.reason})'}"]
    columns = {"all": result.scores, "voice": result.speech_scores, "words": result.text_scores}
    known = {name: scores for name, scores in columns.items() if scores is not None}
    lines.append(" " * 14 + "".join(f"{name:>8}" for name in known))
    for emotion in sorted(result.scores, key=lambda name: -result.scores[name]):
        lines.append(f"  {emotion:<12}" + "".join(f"{scores[emotion]:8.2f}" for scores in known.values()))
    if result.gate is not None:
        lines.append(f"  the voice counted {100 * result.gate:.0f} %, the words {100 - 100 * result.gate:.0f} %")
    return "\n".join(lines)
