"""Results as the command line shows them."""

from pathlib import Path

import msgspec

from bimodal.modelfolder import ModelConfig, SideConfig, load_model_config
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
    if result.explanation is not None:
        lines += [f"  why: {sentence}" for sentence in result.explanation.sentences]
    lines += [f"  mind: {warning}" for warning in result.warnings]
    return "\n".join(lines)


def describe_model(name: str, folder: Path) -> str:
    """What a model is, as lines: version, licence, emotions, sides, disk.

    Raises:
        ModelFolderError: No sound model folder.
    """
    config = load_model_config(folder, verify=False)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    facts = {
        "model": f"{config.name} {config.version}, revision {config.revision}",
        "licence": config.licence,
        "trained on": config.trained_on or "not said",
        "adapted to": config.adapted_to,
        "emotions": ", ".join(config.emotions),
        "voice": _side(config.speech),
        "words": _side(config.text),
        "together": _together(config),
        "disk": f"{size / 1e6:.1f} MB in {folder}",
    }
    return "\n".join([name, *(f"  {label:<11}{fact}" for label, fact in facts.items() if fact)])


def _side(side: SideConfig | None) -> str:
    if side is None:
        return "not used"
    heard = f"columns {', '.join(side.columns)}" if side.columns else side.backbone
    return f"{heard}, with {side.context} utterances before" if side.context else heard


def _together(config: ModelConfig) -> str:
    if config.speech is None or config.text is None:
        return ""
    return "fused" if config.fusion_temperatures else "no fusion stage"
