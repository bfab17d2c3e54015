"""Results as text for a terminal."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bimodal.inference.model_config import ModalityConfig, ModelConfig
from bimodal.inference.model_folder import load_model_config
from bimodal.records import Recognition, printable

if TYPE_CHECKING:
    from bimodal.inference.summary import Phase, Summary

WARNED: Final = " *"
"""Mark of a result with warnings."""

_MOST_PHASES: Final = 12
_LEAST_SHARE: Final = 0.005
_BRACKETS: Final = re.compile(r" ?\([^()]*\)")


def json_line(result: Recognition, path: Path | None) -> str:
    """One result as a line of JSON, with the path of its recording."""
    return msgspec.json.encode({"path": None if path is None else str(path), **result.to_dict()}).decode()


def format_result(result: Recognition, path: Path | None) -> str:
    """One result as lines: emotion, scores of each modality, weights, warnings."""
    lines = [f"{path or 'words only'}: {result.emotion or f'no result ({result.reason})'}"]
    columns = {"all": result.scores, "voice": result.speech_scores, "words": result.text_scores}
    known = {name: scores for name, scores in columns.items() if scores is not None}
    lines.append(" " * 14 + "".join(f"{name:>8}" for name in known))
    told = {emotion for scores in (result.speech_scores, result.text_scores) for emotion in scores or ()}
    for emotion in sorted(result.scores, key=lambda name: -result.scores[name]):
        cells = [_cell(scores.get(emotion) if emotion in told else None) for scores in known.values()]
        lines.append(f"  {emotion:<12}" + "".join(cells))
    if result.arousal is not None and result.valence is not None:
        lines.append(f"  arousal {result.arousal:+.2f}, valence {result.valence:+.2f} (derived from the scores)")
    if result.gate is not None and result.explanation is None:  # an explanation says it in its first sentence
        lines.append(f"  weight of the voice {100 * result.gate:.0f} %, of the words {100 - 100 * result.gate:.0f} %")
    lines += [f"  {told}" for told in _set_lines(result)]
    return printable("\n".join([*lines, *_notes(result)]))


def _set_lines(result: Recognition) -> list[str]:
    """The prediction set of a result as lines; none without one."""
    found = result.prediction_set
    return [] if found is None else [str(found), *([f"note: {found.note}"] if found.note else [])]


def _cell(score: float | None) -> str:
    """A score; a dash for an emotion that the given modalities do not know."""
    return f"{'-':>8}" if score is None else f"{score:8.2f}"


def format_line(result: Recognition, name: str) -> str:
    """One of many results as a line: recording, emotion, scores of voice and words, transcript.

    Its warnings are only marked; `describe_warnings` tells them once for all results.
    """
    if result.emotion is None:
        return printable(f"{name}: no result ({result.reason})")
    modalities = {"voice": result.speech_scores, "words": result.text_scores}
    alone = [f"{name}: {_most(scores)}" for name, scores in modalities.items() if scores]
    parts = [_most(result.scores), *(alone if len(alone) > 1 else [])]
    sets = [] if result.prediction_set is None else [f"[{result.prediction_set}]"]
    told = "  ".join([f"{name}: {'; '.join(parts)}", *sets])
    mark = WARNED if result.warnings else ""
    return printable("\n".join([f"{told}{mark}{_quoted(result)}", *_reasons(result)]))


def describe_warnings(results: Sequence[Sequence[str]]) -> str:
    """The warnings of many results as one line, the commonest first; empty if there are none.

    Args:
        results: Warnings of each result. What stands in brackets differs between results and is left out.

    Example:
        >>> describe_warnings([["the speech is short (0.5 s)"], [], ["the speech is short (0.7 s)"]])
        'warnings (marked *): the speech is short: 2 of 3 results; --format jsonl gives each warning'
    """
    kinds = Counter(kind for told in results for kind in {_BRACKETS.sub("", warning) for warning in told})
    if not kinds:
        return ""
    counts = "; ".join(f"{kind}: {count:,} of {len(results):,} results" for kind, count in kinds.most_common())
    return printable(f"warnings (marked *): {counts}; --format jsonl gives each warning")


def format_stretch(result: Recognition) -> str:
    """One segment of a recording as a line: start, end, emotion, speaker, transcript."""
    said = f"- ({result.reason})" if result.emotion is None else _most(result.scores)
    who = f"  {result.speaker}{_how_sure(result)}" if result.speaker else ""
    among = "" if result.prediction_set is None else f"  [{', '.join(result.prediction_set.emotions)}]"
    line = f"{result.start or 0.0:9.2f} {result.end or 0.0:9.2f}  {said:<14}{among}{who}{_quoted(result)}".rstrip()
    return printable("\n".join([line, *_reasons(result)]))


def _how_sure(result: Recognition) -> str:
    """Behind a speaker who was found by the voice: how sure that is, and whether somebody else speaks, too."""
    told = [] if result.speaker_confidence is None else [f"{result.speaker_confidence:.2f}"]
    told += ["overlap"] if result.overlap else []
    return f" ({', '.join(told)})" if told else ""


def describe_summary(summary: "Summary") -> str:
    """Summary of a recording as lines: warnings, shares, those of each speaker, lasting changes, telling moments."""
    warned = f"warning: {summary.warned} of {summary.results} results have warnings; see --format jsonl"
    told = _told_shares(summary.shares) or "no emotion recognised"
    lines = [warned] if summary.warned else []
    lines.append(f"speech {summary.speech_seconds:.1f} of {summary.duration:.1f} s: {told}")
    if len(summary.speakers) > 1:
        for one in summary.speakers:
            lines.append(f"  {one.speaker}, {one.speech_seconds:.1f} s: {_told_shares(one.shares) or 'no emotion'}")
    if summary.results > 1 and len(summary.phases) > 1:
        lines += ["what prevails, and when it changes:", *map(_told_phase, summary.phases[:_MOST_PHASES])]
        more = len(summary.phases) - _MOST_PHASES
        lines += [f"  ... and {more} more; see --format json"] if more > 0 else []
    if summary.results > 1 and summary.highlights:
        lines.append("most telling moments:")
        for moment in summary.highlights:
            who = f"  {moment.speaker}" if moment.speaker else ""
            words = f'  "{moment.transcript}"' if moment.transcript else ""
            lines.append(f"  {clock(moment.start):>9}  {moment.emotion} {moment.score:.2f}{who}{words}")
    return printable("\n".join(lines))


def _told_shares(shares: Mapping[str, float]) -> str:
    """Shares from the largest; those that round to nothing are left out."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{emotion} {100 * share:.0f} %" for emotion, share in ordered if share >= _LEAST_SHARE)


def _told_phase(phase: "Phase") -> str:
    who = f"  {phase.speaker}" if phase.speaker else ""
    return f"  {clock(phase.start):>9} to {clock(phase.end):>9}  {phase.emotion}{who}"


def clock(seconds: float) -> str:
    """Seconds as a player shows them.

    Example:
        >>> clock(65.21), clock(3725.0)
        ('1:05.2', '1:02:05.0')
    """
    minutes, rest = divmod(round(max(0.0, seconds), 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


def _most(scores: Mapping[str, float]) -> str:
    emotion = max(scores, key=scores.__getitem__)
    return f"{emotion} {scores[emotion]:.2f}"


def _reasons(result: Recognition) -> list[str]:
    return [] if result.explanation is None else [f"  why: {sentence}" for sentence in result.explanation.sentences]


def _notes(result: Recognition) -> list[str]:
    return [*_reasons(result), *(f"  warning: {warning}" for warning in result.warnings)]


def _quoted(result: Recognition) -> str:
    return f'  "{result.transcript}"' if result.transcript else ""


def describe_model(name: str, folder: Path) -> str:
    """Describe a model in lines of at most 80 characters: version, licence, emotions, backbones, size.

    Raises:
        ModelFolderError: Not a valid model folder.
    """
    config = load_model_config(folder, verify=False)
    facts = {
        "model": f"{config.name} {config.version}, revision {config.revision}",
        "licence": config.licence,
        "emotions": ", ".join(config.emotions),
        "speech": _backbone(config.speech),
        "text": _backbone(config.text),
        "fusion": _fusion(config),
        "trained on": config.trained_on or "unknown",
        "adapted to": config.adapted_to,
        "size": f"{_size(folder) / 1e6:.1f} MB",
        "folder": str(folder),
    }
    return printable("\n".join([name, *(_fact(label, fact) for label, fact in facts.items() if fact)]))


def model_record(name: str, folder: Path, *, default: bool = False) -> dict[str, Any]:
    """What `describe_model` tells, as plain values for a program; the size in bytes.

    Args:
        name: Of an installed model, or its folder as it was given.
        folder: Of the model.
        default: Whether it answers where none is named.

    Raises:
        ModelFolderError: Not a valid model folder.
    """
    config = load_model_config(folder, verify=False)
    return {
        "name": name,
        "default": default,
        "model": config.name,
        "version": config.version,
        "revision": config.revision,
        "licence": config.licence,
        "emotions": list(config.emotions),
        "speech": _backbone(config.speech) if config.speech else None,
        "text": _backbone(config.text) if config.text else None,
        "fusion": _fusion(config) or None,
        "trained_on": config.trained_on or None,
        "adapted_to": config.adapted_to or None,
        "bytes": _size(folder),
        "folder": str(folder),
    }


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _fact(label: str, fact: str) -> str:
    """A labelled fact, wrapped; paths stay whole."""
    from textwrap import fill

    return fill(
        fact,
        80,
        initial_indent=f"  {label:<12}",
        subsequent_indent=" " * 14,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _backbone(modality: ModalityConfig | None) -> str:
    if modality is None:
        return "not used"
    read = f"columns {', '.join(modality.columns)}" if modality.columns else modality.backbone
    return f"{read}, with {modality.context} previous utterances" if modality.context else read


def _fusion(config: ModelConfig) -> str:
    if config.speech is None or config.text is None:
        return ""
    return "trained" if config.fusion_temperatures else "not trained"
