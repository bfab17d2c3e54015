"""Configuration: frozen dataclasses, strict TOML over their instances, `--set speech.epochs=5`."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from bimodal.errors import ConfigError
from bimodal.records import Statistic

RENAMED: Final = {
    "average": "ema_decay", "baseline": "speaker_stats", "baseline_by": "speaker_stats_by",
    "baseline_strength": "speaker_stats_strength", "components": "pca_components",
    "encoder_rate": "encoder_lr_multiplier", "gradient_norm": "max_grad_norm", "heads": "ensemble_size",
    "heard_views": "tta", "noise": "input_noise_std", "parts": "n_folds", "scale": "embedding_norm",
    "shuffled_share": "shuffled_words_prob", "start": "init", "steps": "min_steps",
    "view_share": "augmentation_prob", "views": "augmentations",
}  # fmt: skip
"""Old names of settings, and the new ones; an old one is refused with the new one named."""

Config = TypeVar("Config")
Natural = Annotated[int, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Parts = Annotated[int, msgspec.Meta(ge=2)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The joint loss of a stage.

    Attributes:
        classification: Loss of the logits: focal, or cross-entropy adjusted by the emotions' priors.
        gamma: Focusing exponent of the focal loss; 0 is cross-entropy.
        affinity: Loss of the embeddings that is added: the two readings of the affinity loss, or what they are
            compared with, centre loss and supervised contrastive loss. Heads share prototypes and centres.
        beta: Its weight.
        class_weights: How much rare emotions count more: not, by inverse frequency, or by its square root.
    """

    classification: Literal["focal", "logit_adjusted"] = "focal"
    gamma: NotNegative = 2.0
    affinity: Literal["none", "pairwise", "gaussian", "centre", "contrastive"] = "pairwise"
    beta: NotNegative = 1.0
    class_weights: Literal["none", "sqrt", "balanced"] = "none"


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """What the training loop reads: the settings that all stages have.

    Attributes:
        epochs: Passes over the training data.
        min_steps: Least updates; on a small corpus there are more passes to reach them.
        patience: Passes without a better dev score after which a stage stops; 0 for never.
        batch_size: Utterances in a step.
        learning_rate: Peak of AdamW's rate; warmed up over a tenth of the steps, then a cosine to zero.
        weight_decay: AdamW's decay.
        ema_decay: Decay of the running average of the weights that is kept; 0 for the last weights.
        max_grad_norm: Length that the gradient is cut to; 0 for no limit.
        precision: Of the large products in training; what is kept is float32.
        loss: The joint loss.
    """

    epochs: Natural = 30
    min_steps: Natural = 500
    patience: Natural = 0
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 1e-2
    ema_decay: Share = 0.0
    max_grad_norm: NotNegative = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"
    loss: LossConfig = field(default_factory=LossConfig)


@dataclass(frozen=True, kw_only=True)
class HeadConfig(StageConfig):
    """How an emotion head is shaped and trained: a stage whose network ends in one.

    Attributes:
        input_dropout: Share of input features that are dropped in training.
        dropout: Share of hidden units that are dropped in training.
        ensemble_size: Small heads that differ in start and noise and whose answers are averaged.
        embedding_norm: Length of the embedding that the classifier sees; 0 for its own length.
        hidden_width: Units of the hidden layer; 0 for none.
        embedding_width: Width of the emotion embedding in front of the classifier.
        input_noise_std: Deviation of the Gaussian noise on the standardised inputs in training.
    """

    input_dropout: Share = 0.1
    dropout: Share = 0.4
    ensemble_size: Count = 1
    embedding_norm: NotNegative = 4.0
    hidden_width: Natural = 256
    embedding_width: Count = 128
    input_noise_std: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class SpeechHeadConfig(HeadConfig):
    """How a head on pooled speech is trained: in the speech stage, and before the tuning of a speech encoder.

    Attributes:
        pca_components: Principal components of the statistics that are kept; 0 for all.
        speaker_shrinkage: How hard the directions in which training speakers differ are shrunk before the components
            are taken; 0 not at all. For recordings unlike those trained on; needs components.
        augmentations: Augmented copies of the recordings to train on as well, such as speed0.9, telephone,
            noise10:rain.wav; cached, see `apply_augmentation`.
        augmentation_prob: Share of the training utterances that stand as one of their views in an epoch.
    """

    batch_size: Count = 64
    input_noise_std: NotNegative = 1.0
    input_dropout: Share = 0.4
    ensemble_size: Count = 4
    hidden_width: Natural = 0
    embedding_width: Count = 64
    pca_components: Natural = 400
    speaker_shrinkage: NotNegative = 0.0
    augmentations: tuple[str, ...] = ()
    augmentation_prob: Share = 0.67


@dataclass(frozen=True, kw_only=True)
class SpeechConfig(SpeechHeadConfig):
    """How the speech stage is trained.

    Attributes:
        statistics: What is taken over time of each unit of the backbone: mean, std, p10, p50, p90.
        speech_only: Whether pauses (35 dB below the loud frames) are left out of them.
        tta: Views that are heard beside the plain recording in recognition too, all frames pooled together;
            each costs as much again as the plain one. Whole clips alone: a timeline hears the plain recording.
        columns: Numeric manifest columns (glob patterns) that stand for speech; empty for audio.
        speaker_stats: How many earlier clips of the same speaker a network is trained to use, such as
            [0, 1, 3, 10, 1000] (as many as there are); empty for networks that hear each clip by itself.
        speaker_stats_by: Manifest column that says whose clips they are: `speaker`, or any other, such as `corpus`.
        speaker_stats_strength: How many times more earlier clips it takes than a normal model says.
    """

    statistics: tuple[Statistic, ...] = ("mean", "std")
    speech_only: bool = False
    tta: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    speaker_stats: tuple[Natural, ...] = ()
    speaker_stats_by: str = "speaker"
    speaker_stats_strength: Positive = 1.0


@dataclass(frozen=True, kw_only=True)
class TextConfig(HeadConfig):
    """How the text stage is trained.

    Attributes:
        context: Utterances before each one in its dialogue (columns `dialogue`, `speaker`) that are read beside it.
        context_width: Units of the network that reads them.
    """

    epochs: Natural = 10
    batch_size: Count = 128
    weight_decay: NotNegative = 0.05
    hidden_width: Natural = 128
    embedding_width: Count = 64
    embedding_norm: NotNegative = 0.0
    context: Natural = 0
    context_width: Count = 128
    loss: LossConfig = field(default_factory=lambda: LossConfig(gamma=1.0, beta=0.3))


@dataclass(frozen=True, kw_only=True)
class TuneConfig(StageConfig):
    """How a pretrained encoder is tuned and stored as a backbone.

    Attributes:
        name: Of the backbone.
        source: Hub id or folder of the pretrained encoder, or the folder of an earlier tuning, which is gone on from.
        vocabulary: As in training.
        multiple_labels: As in training.
        licence: Licence of the tuned weights: they carry that of the data they saw.
        trained_on: What the data are, for the backbone's description.
        layers: 1-based numbers of the layers that the backbone exposes; empty for the last three.
        frozen: Lowest blocks that stay as they are, and the embeddings below them; 0 for none.
        encoder_lr_multiplier: Learning rate of the encoder's last block, as a share of the head's.
        layer_decay: Factor from each block's learning rate to that of the one below.
        lora_rank: Rank of the updates that are trained beside the linear layers of the blocks, which stay as they are
            themselves, and that are added to them at the end (Hu et al. 2021, arXiv 2106.09685): less memory, for large
            encoders; wants a larger `encoder_lr_multiplier`, such as 1. 0 trains the blocks themselves.
        weights: How the backbone's weights are stored.
        dev_share: As in training.
        split_by: As in training.
        official_split: As in training.
        seed: Decides start, order and inner split.
        device: Torch device.
        threads: Threads of torch; 0 for one per core.
    """

    name: str = "tuned"
    source: str = ""
    vocabulary: str = "ekman7"
    multiple_labels: Literal["soft", "drop"] = "soft"
    licence: str = "unknown: set it to that of the training data"
    trained_on: str = ""
    layers: tuple[Count, ...] = ()
    frozen: Natural = 0
    encoder_lr_multiplier: NotNegative = 0.1
    layer_decay: Probability = 0.85
    lora_rank: Natural = 0
    weights: Literal["float16", "int8"] = "float16"
    dev_share: Share = 0.15
    split_by: Literal["speaker", "utterance"] = "speaker"
    official_split: str = ""
    seed: Natural = 0
    device: str = "cpu"
    threads: Natural = 0


@dataclass(frozen=True, kw_only=True)
class TuneTextConfig(TuneConfig, HeadConfig):
    """How a language model is tuned.

    Attributes:
        max_tokens: Longest text; what lies beyond is cut off, in tuning and in use.
    """

    name: str = "text-tuned"
    source: str = "sentence-transformers/all-MiniLM-L6-v2"
    max_tokens: Count = 128
    epochs: Natural = 3
    min_steps: Natural = 0
    weight_decay: NotNegative = 0.01
    dropout: Share = 0.0
    embedding_norm: NotNegative = 0.0
    hidden_width: Natural = 0
    embedding_width: Count = 64
    max_grad_norm: NotNegative = 1.0
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    loss: LossConfig = field(default_factory=lambda: LossConfig(gamma=1.0, beta=0.1))


@dataclass(frozen=True, kw_only=True)
class TuneSpeechConfig(TuneConfig):
    """How a speech encoder is tuned.

    Attributes:
        crop_seconds: Length of the random stretch of each utterance that is trained on; 0 for the whole.
        interpolation: Where between the weights that the tuning started from, 0, and those that it came to, 1, the
            network ends (Wortsman et al. 2022, arXiv 2109.01903).
        head: How the head is trained on the untuned encoder, from where the tuning starts; the shape of the head and
            the augmented views are its.
    """

    name: str = "speech-tuned"
    source: str = "openai/whisper-base"
    frozen: Natural = 2
    layer_decay: Probability = 1.0
    crop_seconds: NotNegative = 2.5
    interpolation: Probability = 0.5
    epochs: Natural = 5
    min_steps: Natural = 0
    batch_size: Count = 32
    max_grad_norm: NotNegative = 1.0
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    head: SpeechHeadConfig = field(
        default_factory=lambda: SpeechHeadConfig(augmentations=("speed0.9", "speed1.1"), input_noise_std=0.5)
    )


@dataclass(frozen=True, kw_only=True)
class FusionConfig(StageConfig):
    """How the fusion stage is trained: briefly, since it starts at late fusion and small corpora tempt it away.

    Attributes:
        dropout: Share of the gate's and the embedding's units that are dropped in training.
        hidden_width: Units of the gate.
        embedding_width: Width of the fused embedding.
        kind: What fuses: a gate between both modalities, their concatenation, a product of calibrated experts, or late
            fusion (the mean of the log scores), which is not trained.
        cross_fit: Whether it learns from what networks found in utterances that they did not train on; else, to compare
            with, from what the shipped ones found in those that they did.
        modality_dropout: Share of utterances whose one modality is taken away in training.
        n_folds: Parts of the cross-fitting: networks trained on all but one give the embeddings of that one.
        pairing: What the stage learns from: utterances that have both modalities as `given`, or, where rows have
            speech or words only, clips and texts of one emotion drawn together anew each epoch (`label_matched`). The
            latter gains by construction and is no evidence; the card says so.
        mismatched: With `label_matched`: share of pairs whose modalities are of two emotions.
        hold_out_texts: Column that names each row's text, `transcript` for the words themselves: the parts then share
            no text either, so that the words are as new in training as in use. Empty: parts share no speaker alone.
        init: Where a gate's training starts: at both modalities' experts as they are, or at the shares of them that
            fit the cross-fitted rows best, so that a modality that knows nothing new hardly counts.
        shuffled_words_prob: Share of the training utterances whose words are another utterance's, so that the voice is
            trusted where both contradict each other.
    """

    epochs: Natural = 6
    min_steps: Natural = 60
    batch_size: Count = 256
    dropout: Share = 0.4
    hidden_width: Natural = 32
    embedding_width: Count = 64
    loss: LossConfig = field(default_factory=lambda: LossConfig(gamma=1.0, beta=0.1))
    kind: Literal["gate", "concatenation", "experts", "late"] = "gate"
    cross_fit: bool = True
    modality_dropout: Probability = 0.3
    n_folds: Parts = 5
    pairing: Literal["given", "label_matched"] = "given"
    mismatched: Share = 0.1
    hold_out_texts: str = ""
    init: Literal["equal", "fitted"] = "equal"
    shuffled_words_prob: Share = 0.0


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a bimodal model is trained.

    Attributes:
        name: Name of the model.
        vocabulary: Name of a built-in vocabulary or of a published grouping (`goemotions-ekman7`), a TOML map of one's
            own, or `native` for the manifest's own labels as they are. A file is looked for beside the settings file
            that names it; in the working folder where `--set` or Python code names it.
        multiple_labels: What rows of several emotions are to training: soft targets, or left out. They are always left
            out of evaluations.
        speech_backbone: Packaged name or folder of the frozen speech encoder.
        text_backbone: Packaged name or folder of the frozen language model.
        dev_share: Share of the training speakers that is held out where the manifest has no dev split.
        split_by: What must not cross the inner splits: the manifest's speakers, or nothing (`utterance`).
        licence: Licence of the weights: they carry that of the data they saw.
        trained_on: What the data are, for the card.
        official_split: Name of a published split whose overlap between parts is accepted and reported.
        seed: Decides every start, order and inner split.
        device: Torch device of training.
        threads: Threads of torch and onnxruntime; 0 for one per core.
        speech: The speech stage.
        text: The text stage.
        fusion: The fusion stage.
    """

    name: str = "bimodal"
    vocabulary: str = "ekman7"
    multiple_labels: Literal["soft", "drop"] = "soft"
    speech_backbone: str = "whisper-base-4"
    text_backbone: str = "minilm-l6"
    dev_share: Share = 0.15
    split_by: Literal["speaker", "utterance"] = "speaker"
    licence: str = "unknown: set it to that of the training data"
    trained_on: str = ""
    official_split: str = ""
    seed: Natural = 0
    device: str = "cpu"
    threads: Natural = 0
    speech: SpeechConfig = field(default_factory=SpeechConfig)
    text: TextConfig = field(default_factory=TextConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)


STAGE_CONFIGS: Final[Mapping[str, type[StageConfig]]] = {
    "speech": SpeechConfig,
    "text": TextConfig,
    "fusion": FusionConfig,
    "tune speech": TuneSpeechConfig,
    "tune speech, head": SpeechHeadConfig,
    "tune text": TuneTextConfig,
}
"""What each stage reads: a setting that is not in its record is refused."""


def read_config(default: Config, path: str | Path | None = None, settings: Sequence[str] = ()) -> Config:
    """A configuration: defaults, overlaid by a TOML file, overlaid by `key.key=value` settings.

    A `vocabulary` that is a TOML file is looked for beside the settings file that names it, or in the working folder
    where `--set` or Python code names it. It becomes an absolute path here, once, so that nobody looks elsewhere.

    Args:
        default: Instance whose values hold where nothing else is said.
        path: TOML file, or None.
        settings: Such as `speech.epochs=5`; the value is read as TOML, and as text where it is none.

    Raises:
        ConfigError: Unreadable TOML, an unknown key (valid ones are named), a wrong type, a number out of range.

    Example:
        >>> read_config(StageConfig(), settings=["loss.gamma=1"]).loss.gamma
        1.0
    """
    values: dict[str, Any] = msgspec.to_builtins(default)
    if path is not None:
        changes = _with_vocabulary_path(_read_toml(Path(path)), Path(path).parent)
        _overlay(values, changes, type(default), str(path))
        convert(values, type(default), str(path))
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting}: expected key=value, for example speech.epochs=5")
        nested: Any = _parse(text)
        for part in reversed(key.strip().split(".")):
            nested = {part: nested}
        _overlay(values, _with_vocabulary_path(nested, Path()), type(default), f"--set {setting}")
        convert(values, type(default), f"--set {setting}")
    return convert(values, type(default), "defaults")


def convert(values: Mapping[str, Any], kind: type[Config], where: str) -> Config:
    """A configuration record from plain values.

    Raises:
        ConfigError: A wrong type, or a value that is none of those allowed.
    """
    try:
        return msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML ({error})") from error


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _with_vocabulary_path(changes: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same settings, with an absolute path where the vocabulary is a file in a folder."""
    name = changes.get("vocabulary")
    if not isinstance(name, str) or not name.endswith(".toml"):
        return changes
    return changes | {"vocabulary": str((folder / name).absolute())}


def _overlay(values: dict[str, Any], changes: Mapping[str, Any], kind: Any, where: str) -> None:
    """Write changes into nested values, refusing keys that the record does not have."""
    types = {item.name: item.type for item in fields(kind)}
    for key, change in changes.items():
        if key not in types:
            if RENAMED.get(key) in types:
                raise ConfigError(f"{where}: the setting '{key}' is now called '{RENAMED[key]}'; rename it")
            raise ConfigError(f"{where}: unknown key '{key}'{_hint(key, types)}")
        if is_dataclass(types[key]):
            if not isinstance(change, Mapping):
                raise ConfigError(f"{where}: '{key}' is a table, found {change!r}")
            _overlay(values[key], change, types[key], where)
        else:
            values[key] = change


def _hint(key: str, expected: Collection[str]) -> str:
    """What to do about a key that a record does not have: who has it, what there is, what comes nearest to it."""
    name = RENAMED.get(key, key)
    users = [stage for stage, kind in STAGE_CONFIGS.items() if name in {item.name for item in fields(kind)}]
    elsewhere = f" here, which nothing would read; it is a setting of {', '.join(users)}" if users else ""
    close = get_close_matches(key, expected, n=1)
    nearest = f"; did you mean '{close[0]}'?" if close else ""
    return f"{elsewhere}, expected one of {sorted(expected)}{nearest}"
