"""What a model folder holds, each part loaded when it is first asked for. Imports no torch."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from bimodal.audio.voice_activity import load_detector
from bimodal.errors import ModelFolderError
from bimodal.features.backbone import SpeechBackbone, TextBackbone
from bimodal.features.ood import OodStats, load_ood_stats
from bimodal.inference.installed import is_packaged
from bimodal.inference.model_folder import (
    ADAPTATION,
    GRAPHS,
    OOD_STATS,
    SPEAKERS,
    ModelConfig,
    load_modality_backbone,
    load_model_config,
)
from bimodal.runtime import Device, make_session

if TYPE_CHECKING:
    from bimodal.features.adaptation import Adaptation
    from bimodal.features.speaker_stats import SpeakerStatsStore

Part = TypeVar("Part")


class Networks:
    """The parts of a model; each is loaded once, also where several threads ask for it at the same time.

    Args:
        folder: Model folder.
        threads: Threads of one operator of a backbone; 0 for one per core.
        device: `cpu`, or `cuda` with onnxruntime-gpu.
        verify: Compare the files with their digests first; not those of a packaged model, which pip compared.

    Raises:
        ModelFolderError: A file is missing, altered, or of an unknown schema.
    """

    def __init__(self, folder: Path, *, threads: int = 0, device: Device = "cpu", verify: bool = True) -> None:
        self.folder = folder
        self.config: ModelConfig = load_model_config(folder, verify=verify and not is_packaged(folder))
        self._threads, self._device, self._verify = threads, device, verify
        self._parts, self._locks = dict[str, Any](), dict[str, Lock]()

    @property
    def hears(self) -> bool:
        """Whether the model hears recordings; False where it reads words or columns alone."""
        return self.config.speech is not None and not self.config.speech.columns

    def prepare(self) -> None:
        """Load what a voice needs, in the order in which it is needed; in a thread, while others do their part.

        Raises:
            ModelFolderError: The model hears no speech, or was trained on another backbone.
        """
        _ = self.speech_backbone, self.session("speech"), self.ood_stats
        if self.config.fusion_temperatures:
            self.session("fusion")
        load_detector()

    @property
    def speech_backbone(self) -> SpeechBackbone:
        """What hears.

        Raises:
            ModelFolderError: The model hears no speech, or was trained on another backbone.
        """
        backbone = self._backbone("speech")
        if not isinstance(backbone, SpeechBackbone):
            raise ModelFolderError(f"{self.folder}: its speech backbone '{backbone.description.name}' reads text")
        return backbone

    @property
    def text_backbone(self) -> TextBackbone:
        """What reads.

        Raises:
            ModelFolderError: The model reads no words, or was trained on another backbone.
        """
        backbone = self._backbone("text")
        if not isinstance(backbone, TextBackbone):
            raise ModelFolderError(f"{self.folder}: its text backbone '{backbone.description.name}' hears speech")
        return backbone

    def session(self, stage: str) -> Any:
        """The network of a stage: `speech`, `text` or `fusion`."""
        return self._once(GRAPHS[stage], lambda file: make_session(file, threads=1, device=self._device))

    @property
    def ood_stats(self) -> dict[str, OodStats]:
        """What each side was trained on; empty in a model that did not keep it."""
        return self._once(OOD_STATS, load_ood_stats) if OOD_STATS in self.config.files else {}

    @property
    def adaptation(self) -> "Adaptation | None":
        """What the model was adapted to."""
        if ADAPTATION not in self.config.files:
            return None
        from bimodal.features.adaptation import load_adaptation

        return self._once(ADAPTATION, load_adaptation)

    @property
    def speakers(self) -> "SpeakerStatsStore":
        """Speakers that the model was adapted to; read only."""
        from bimodal.features.speaker_stats import SpeakerStatsStore, load_speaker_stats

        return self._once(SPEAKERS, load_speaker_stats) if SPEAKERS in self.config.files else SpeakerStatsStore()

    def _backbone(self, stage: str) -> SpeechBackbone | TextBackbone:
        side = self.config.speech if stage == "speech" else self.config.text
        settings: dict[str, Any] = {"threads": self._threads, "device": self._device, "verify": self._verify}
        return self._once(stage, lambda _: load_modality_backbone(self.folder, stage, side, **settings))

    def _once(self, name: str, load: Callable[[Path], Part]) -> Part:
        with self._locks.setdefault(name, Lock()):
            if name not in self._parts:
                self._parts[name] = load(self.folder / name)
            found: Part = self._parts[name]
            return found
