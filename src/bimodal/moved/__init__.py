"""Old import paths and their new places; read only when an import fails."""

from typing import Final

MOVED: Final = {
    "adapting": "inference.adapt",
    "ahead": "inference.preload",
    "audio.AudioHeader": "audio.decode.AudioHeader",
    "audio.LEVEL_DB": "audio.level.LEVEL_DB",
    "audio.SAMPLING_RATE": "audio.decode.SAMPLING_RATE",
    "audio.Signal": "audio.decode.Signal",
    "audio.check_signal": "audio.decode.check_signal",
    "audio.iterate_audio": "audio.decode.iterate_audio",
    "audio.level_db": "audio.level.level_db",
    "audio.load_signal": "audio.decode.load_signal",
    "audio.normalise_level": "audio.level.normalise_level",
    "audio.read_audio": "audio.decode.read_audio",
    "audio.read_header": "audio.decode.read_header",
    "audio.resample": "audio.decode.resample",
    "bulk": "inference.batch",
    "checking": "data.check",
    "cli.delivering": "cli.write_results",
    "cli.listening": "cli.listen",
    "cli.manifests": "cli.corpora",
    "cli.recognizing": "cli.recognize",
    "cli.serving": "cli.serve",
    "cli.stores": "cli.models",
    "cli.training": "cli.train",
    "containers": "audio.containers",
    "corpora": "data.corpora",
    "data.Examples": "data.batches.Examples",
    "data.Window": "data.batches.Window",
    "data.array_examples": "data.batches.array_examples",
    "data.count_targets": "data.batches.count_targets",
    "data.frame_examples": "data.batches.frame_examples",
    "data.main_emotion": "data.batches.main_emotion",
    "data.pad_frames": "data.batches.pad_frames",
    "data.pad_tokens": "data.batches.pad_tokens",
    "data.pad_windows": "data.batches.pad_windows",
    "data.single_emotion": "data.batches.single_emotion",
    "data.token_examples": "data.batches.token_examples",
    "data.window_examples": "data.batches.window_examples",
    "demo.SYNTHETIC": "demo.run.SYNTHETIC",
    "demo.describe_conflict": "demo.run.describe_conflict",
    "demo.run_demo": "demo.run.run_demo",
    "explaining": "inference.explain",
    "exporting": "inference.export",
    "features.baseline": "features.speaker_stats",
    "features.build": "features.build_backbone",
    "features.familiarity": "features.ood",
    "features.statistics": "features.pooling",
    "features.views": "features.augmentation",
    "findings": "inference.outputs",
    "formats": "output.formats",
    "hearing": "inference.speaker_normalization",
    "installed": "inference.installed",
    "keeping": "output.result_folder",
    "labels": "data.labels",
    "law": "records",
    "listening": "audio.microphone",
    "manifest": "data.manifest",
    "metrics": "evaluation.metrics",
    "inference.evidence": "inference.outputs",
    "inference.microphone": "audio.microphone",
    "inference.networks": "inference.model",
    "modelfolder": "inference.model_folder",
    "models.combinations": "models.fusions.reference",
    "models.fusion": "models.fusions.gate",
    "models.losses.baselines": "models.losses.reference",
    "networks": "inference.model",
    "plotting": "output.plot",
    "recognizer": "inference.recognizer",
    "recordings": "audio.recordings",
    "said": "asr.timed_words",
    "scores": "arrays",
    "segments": "audio.segmentation",
    "showing": "output.console",
    "speech_recognition": "asr.whisper",
    "splits": "data.splits",
    "text": "data.text",
    "timeline": "inference.timeline",
    "training.baselines": "training.speaker_stats",
    "training.familiarity": "training.ood",
    "training.packing": "training.package_model",
    "training.pipeline": "training.train",
    "training.sides": "training.modality",
    "training.stages": "training.stage",
    "training.tuning": "training.tune",
    "training.tuning_speech": "training.tune_speech",
    "training.tuning_text": "training.tune_text",
    "transcribing": "asr.transcribe",
}
"""Modules and names of version 0.1 before the folders, below `bimodal`, and where they are now."""


def new_place(name: str) -> str | None:
    """The sentence that names the new place of an old import path; None for a path that never existed.

    Example:
        >>> new_place("bimodal.timeline")
        'bimodal.timeline is now bimodal.inference.timeline; import from there'
        >>> new_place("bimodal.nothing")
    """
    new = MOVED.get(name.removeprefix("bimodal."))
    if new is None:
        return None
    found = f"bimodal.{new}"
    return f"{name} is now {found}; import from there"
