"""Settings: frozen dataclasses. A TOML file and `--set speech.epochs=5` override the defaults."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

import msgspec

from bimodal.errors import ConfigError
from bimodal.files import parse_toml, read_toml
from bimodal.moved.settings import RENAMED
from bimodal.records import Statistic, named_fault, shortened

Config = TypeVar("Config")
Natural = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Epochs = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Width = Annotated[int, msgspec.Meta(ge=0, le=65_536)]
FullWidth = Annotated[int, msgspec.Meta(ge=1, le=65_536)]
Few = Annotated[int, msgspec.Meta(ge=0, le=1000)]
Parts = Annotated[int, msgspec.Meta(ge=2, le=1000)]
Copies = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Threads = Annotated[int, msgspec.Meta(ge=0, le=1024)]
Seed = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Precision = Literal["float32", "bfloat16", "float16"]

# Names of the tables `models.losses.LOSSES` and `models.fusions.FUSIONS`, which import torch; a test compares them.
Classification = Literal["focal", "logit_adjusted"]
Affinity = Literal["none", "pairwise", "gaussian", "centre", "contrastive"]
FusionKind = Literal["gate", "concatenation", "experts", "late", "plain_words"]


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The joint loss of a stage: classification loss + beta x affinity loss.

    Attributes:
        classification: Loss of the logits. `focal`: focal loss. `logit_adjusted`: cross-entropy adjusted by the class
            priors; use it for imbalanced data.
        gamma: Focusing exponent of the focal loss, at least 0; 0 is plain cross-entropy.
        affinity: Additional loss of the embeddings. `pairwise` and `gaussian` are the two variants of the affinity
            loss. `centre` (centre loss) and `contrastive` (supervised contrastive loss) are references for comparison.
            `none` adds no loss. All heads of an ensemble share prototypes and centres.
        beta: Weight of the affinity loss, at least 0.
        class_weights: Weights of the emotions in the loss. `none`: equal. `balanced`: by inverse frequency. `sqrt`: by
            the square root of inverse frequency. Raise the weight of rare emotions to raise their recall.
    """

    classification: Classification = "focal"
    gamma: NotNegative = 2.0
    affinity: Affinity = "pairwise"
    beta: NotNegative = 1.0
    class_weights: Literal["none", "sqrt", "balanced"] = "none"


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """Settings of the training loop, shared by all stages.

    Attributes:
        epochs: Passes over the training data; 0 leaves the network untrained.
        min_steps: Minimum optimizer steps; epochs are added until reached. Raise it for small corpora.
        patience: Early stopping: epochs without a better dev score before training stops; 0 disables it.
        batch_size: Utterances per optimizer step, over all processes and parts.
        accumulate: Parts that a batch is computed in, one after the other; more need less memory. An affinity loss
            sees one part at a time.
        learning_rate: Peak learning rate of AdamW. Linear warm-up over the first tenth of the steps, then cosine decay
            to zero.
        weight_decay: Weight decay of AdamW.
        ema_decay: Decay of the exponential moving average of the weights, 0 to 1. The average is what is kept; 0 keeps
            the last weights.
        max_grad_norm: Gradient clipping norm; 0 disables it.
        precision: Number format of large matrix products in training. `bfloat16` is faster where the processor supports
            it; `float16`, with scaled losses, is for older GPUs. Stored weights are float32.
        loss: The joint loss.
    """

    epochs: Epochs = 30
    min_steps: Natural = 500
    patience: Epochs = 0
    batch_size: Count = 32
    accumulate: Count = 1
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 1e-2
    ema_decay: Share = 0.0
    max_grad_norm: NotNegative = 0.0
    precision: Precision = "float32"
    loss: LossConfig = field(default_factory=LossConfig)


@dataclass(frozen=True, kw_only=True)
class HeadConfig(StageConfig):
    """Shape and regularisation of an emotion head, and how it is trained.

    Attributes:
        input_dropout: Dropout probability of the input features, 0 to 1.
        dropout: Dropout probability of the hidden units, 0 to 1.
        ensemble_size: Number of small heads whose predictions are averaged. They differ in initialisation and noise.
            Training time grows with it.
        embedding_norm: Length to which the embedding is scaled before the classifier; 0 keeps its own length.
        hidden_width: Units of the hidden layer; 0 for no hidden layer.
        embedding_width: Dimensions of the emotion embedding, the input of the classifier.
        input_noise_std: Standard deviation of Gaussian noise on the standardised inputs in training; 0 disables it.
    """

    input_dropout: Share = 0.1
    dropout: Share = 0.4
    ensemble_size: Copies = 1
    embedding_norm: NotNegative = 4.0
    hidden_width: Width = 256
    embedding_width: FullWidth = 128
    input_noise_std: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class SpeechHeadConfig(HeadConfig):
    """Settings of an emotion head on pooled speech features.

    Attributes:
        pca_components: Number of principal components of the statistics; 0 disables PCA.
        speaker_shrinkage: How much to shrink the directions in which training speakers differ, before PCA; 0 disables
            it. Set it when recordings in use differ from the training recordings. Needs `pca_components`.
        speaker_shift_prob: Probability, 0 to 1, that a training utterance is moved in an epoch as if another training
            speaker had spoken. Set it, such as 0.5, when recordings in use differ from the training recordings.
        augmentations: Augmented copies of the recordings to train on, such as `speed0.9`, `telephone` or
            `noise10:rain.wav`. They are cached; `apply_augmentation` lists all kinds.
        augmentation_prob: Probability, 0 to 1, that an augmented copy replaces a training utterance in an epoch.
    """

    batch_size: Count = 64
    input_noise_std: NotNegative = 1.0
    input_dropout: Share = 0.4
    ensemble_size: Copies = 4
    hidden_width: Width = 0
    embedding_width: FullWidth = 64
    pca_components: Width = 400
    speaker_shrinkage: NotNegative = 0.0
    speaker_shift_prob: Share = 0.0
    augmentations: tuple[str, ...] = ()
    augmentation_prob: Share = 0.67


@dataclass(frozen=True, kw_only=True)
class SpeechConfig(SpeechHeadConfig):
    """Settings of the speech stage.

    Attributes:
        statistics: Statistics over time of each backbone feature: `mean`, `std`, `p10`, `p50`, `p90` (percentiles).
        speech_only: Leave pauses out of the statistics: frames 35 dB below the loud ones.
        tta: Test-time augmentations: augmented copies that are encoded in recognition too and pooled with the original.
            Each adds the cost of one encoding. Used for whole clips; a timeline uses the original alone.
        columns: Numeric manifest columns (glob patterns) to use as speech features instead of audio; empty for audio.
        speaker_stats: Numbers of earlier clips of the same speaker that the network is trained to use, such as [0, 1,
            3, 10, 1000]; a number above the available clips means all of them. Empty: speaker statistics are not used.
        speaker_stats_by: Manifest column that groups clips for the speaker statistics, such as `corpus`.
        speaker_stats_strength: Factor on the number of clips needed before speaker statistics count fully. 1 is the
            value of a normal model (empirical Bayes). Raise it if the early clips of a speaker share one emotion.
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
    """Settings of the text stage.

    Attributes:
        context: Number of earlier utterances of the dialogue to read with each utterance; 0 for none. Needs the
            manifest columns `dialogue` and `speaker`.
        context_width: Hidden units of the context network.
    """

    epochs: Epochs = 10
    batch_size: Count = 128
    weight_decay: NotNegative = 0.05
    hidden_width: Width = 128
    embedding_width: FullWidth = 64
    embedding_norm: NotNegative = 0.0
    context: Few = 0
    context_width: FullWidth = 128
    loss: LossConfig = field(default_factory=lambda: LossConfig(gamma=1.0, beta=0.3))


@dataclass(frozen=True, kw_only=True)
class TuneConfig(StageConfig):
    """Settings for tuning a pretrained encoder and storing it as a backbone.

    Attributes:
        name: Name of the new backbone.
        source: Pretrained encoder: a Hub id, a local folder, or the folder of an earlier tuning to continue.
        vocabulary: Emotion vocabulary, as in `TrainConfig`.
        multiple_labels: Treatment of rows with several labels, as in `TrainConfig`.
        licence: Licence of the trained weights. Weights carry the licence of their training data.
        trained_on: Names of the training data, for the backbone's description.
        layers: Layers of the encoder that the backbone exposes, numbered from 1; empty for the last three.
        frozen: Number of lowest transformer blocks to freeze. Above 0, the embeddings are frozen too.
        encoder_lr_multiplier: Learning rate of the encoder's last block, as a multiple of the head's.
        layer_decay: Layer-wise learning rate decay: factor from each block to the one below, 0 to 1.
        lora_rank: Rank of LoRA updates (Hu et al. 2021, arXiv 2106.09685); 0 trains the full blocks. LoRA needs less
            memory: use it for large encoders, with a larger `encoder_lr_multiplier`, such as 1. The updates are merged
            into the weights at the end.
        weights: Number format of the backbone's stored weights.
        dev_share: Share of the training speakers held out as dev split, as in `TrainConfig`.
        split_by: What the splits must not share, as in `TrainConfig`.
        official_split: Published split to accept, as in `TrainConfig`.
        seed: Random seed of initialisation, shuffling and inner splits.
        device: Torch device for training, such as `cpu` or `cuda`.
        threads: Threads of torch; 0 for one per core.
    """

    name: str = "tuned"
    source: str = ""
    vocabulary: str = "ekman7"
    multiple_labels: Literal["soft", "drop"] = "soft"
    licence: str = "unknown: set it to that of the training data"
    trained_on: str = ""
    layers: tuple[Count, ...] = ()
    frozen: Few = 0
    encoder_lr_multiplier: NotNegative = 0.1
    layer_decay: Probability = 0.85
    lora_rank: Width = 0
    weights: Literal["float16", "int8"] = "float16"
    dev_share: Share = 0.15
    split_by: Literal["speaker", "utterance"] = "speaker"
    official_split: str = ""
    seed: Seed = 0
    device: str = "cpu"
    threads: Threads = 0
    min_steps: Natural = 0
    max_grad_norm: NotNegative = 1.0
    precision: Precision = "bfloat16"


@dataclass(frozen=True, kw_only=True)
class TuneTextConfig(TuneConfig, HeadConfig):
    """Settings of `bimodal tune text`: tuning a language model.

    Attributes:
        max_tokens: Maximum length of a text in tokens, in tuning and in use; longer texts are cut.
    """

    name: str = "text-tuned"
    source: str = "sentence-transformers/all-MiniLM-L6-v2"
    max_tokens: Count = 128
    epochs: Epochs = 3
    weight_decay: NotNegative = 0.01
    dropout: Share = 0.0
    embedding_norm: NotNegative = 0.0
    hidden_width: Width = 0
    embedding_width: FullWidth = 64
    loss: LossConfig = field(default_factory=lambda: LossConfig(gamma=1.0, beta=0.1))


@dataclass(frozen=True, kw_only=True)
class TuneSpeechConfig(TuneConfig):
    """Settings of `bimodal tune speech`: tuning a speech encoder.

    Attributes:
        crop_seconds: Length in seconds of the random crop of each utterance in training; 0 for the whole utterance.
        interpolation: Interpolation between the weights before tuning (0) and after it (1) (Wortsman et al. 2022, arXiv
            2109.01903). Lower it if recordings in use differ from the training recordings.
        head: Settings of the emotion head. It is trained first, on the untuned encoder. Its shape and augmentations
            hold for the tuning too.
    """

    name: str = "speech-tuned"
    source: str = "openai/whisper-base"
    frozen: Few = 2
    layer_decay: Probability = 1.0
    crop_seconds: NotNegative = 2.5
    interpolation: Probability = 0.5
    epochs: Epochs = 5
    head: SpeechHeadConfig = field(
        default_factory=lambda: SpeechHeadConfig(augmentations=("speed0.9", "speed1.1"), input_noise_std=0.5)
    )


@dataclass(frozen=True, kw_only=True)
class FusionConfig(StageConfig):
    """Settings of the fusion stage. Training is short: the stage starts at late fusion, and small corpora overfit.

    Attributes:
        dropout: Dropout probability of the gate's hidden units and of the embedding, 0 to 1.
        hidden_width: Hidden units of the gate.
        embedding_width: Dimensions of the fused embedding.
        kind: Fusion method. `gate`: a learned gate between speech and text. `concatenation`: a network on both
            embeddings. `experts`: a product of calibrated experts. `late`: the mean of the log scores, without
            training. `plain_words`: Bayes' rule without training, for words that are plain in most utterances; such
            words cannot outweigh the voice.
        cross_fit: Train the fusion on predictions for utterances that the speech and text networks did not train on.
            False uses predictions for their own training utterances; it is there for comparison.
        modality_dropout: Probability, 0 to 1, that one modality of a training utterance is dropped.
        n_folds: Number of folds for cross-fitting, at least 2. Training time grows with it.
        pairing: Training pairs. `given`: utterances that have both speech and text. `label_matched`: clips and texts of
            the same emotion, paired at random each epoch; for data with one modality per row. Such a fusion gains by
            construction, so its gain is no evidence; the model card says so.
        mismatched: With `label_matched`: share of pairs whose speech and text have different emotions.
        hold_out_texts: Manifest column that names each row's text; `transcript` for the words themselves. The folds of
            cross-fitting then share no text. Set it if sentences repeat in the corpus. Empty: the folds share no
            speaker, but may share texts.
        init: Initial weights of the gate. `equal`: 1 for speech and text. `fitted`: the weights that fit the
            cross-fitted rows best, so that an uninformative modality counts little.
        shuffled_words_prob: Probability, 0 to 1, that a training utterance gets the words of another one. Raise it to
            trust the voice where voice and words contradict each other.
        plain_words_prob: With `plain_words`: probability, 0 to 1, that the words are plain whatever the voice
            expresses. Words whose scores favour `neutral` change the odds of two emotions by its inverse at most.
            Lower it where words carry the emotion, as in written dialogue.
        text_exponent: With `plain_words`: exponent of the text network's scores divided by their prior; 0 ignores the
            words. Raise it to trust clear words more.
    """

    epochs: Epochs = 6
    min_steps: Natural = 60
    batch_size: Count = 256
    dropout: Share = 0.4
    hidden_width: Width = 32
    embedding_width: FullWidth = 64
    loss: LossConfig = field(default_factory=lambda: LossConfig(gamma=1.0, beta=0.1))
    kind: FusionKind = "gate"
    cross_fit: bool = True
    modality_dropout: Probability = 0.3
    n_folds: Parts = 5
    pairing: Literal["given", "label_matched"] = "given"
    mismatched: Share = 0.1
    hold_out_texts: str = ""
    init: Literal["equal", "fitted"] = "equal"
    shuffled_words_prob: Share = 0.0
    plain_words_prob: Share = 0.98
    text_exponent: NotNegative = 2.0


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of `bimodal train`.

    Attributes:
        name: Name of the model.
        vocabulary: Emotion vocabulary: the name of a built-in one, the name of a published grouping
            (`goemotions-ekman7`), a TOML map of your own, or `native` for the manifest's own labels. A file is looked
            up in the folder of the settings file that names it, or in the working folder for `--set` and Python code.
        multiple_labels: Training rows with several labels: `soft` makes soft targets, `drop` leaves them out.
            Evaluation always leaves them out.
        speech_backbone: Frozen speech encoder: name of an installed backbone, or its folder.
        text_backbone: Frozen language model: name of an installed backbone, or its folder.
        dev_share: Share of the training speakers held out as dev split if the manifest has none, 0 to 1.
        split_by: What the inner splits must not share. `speaker`: no speaker. `utterance`: no restriction.
        licence: Licence of the trained weights. Weights carry the licence of their training data.
        trained_on: Names of the training data, for the model card.
        official_split: Name of a published split. Speakers, texts or recordings that its parts share are then reported,
            not refused.
        distance_exponent: How fast the confidence of speech falls with its distance from the training data; 0: not at
            all. Set 0 for soft targets from listeners' votes, whose scores are cautious already.
        calibration: How scores become probabilities. `temperature`: one divisor of all logits; it changes no answer.
            `vector`: a factor and an offset for each emotion (vector scaling). Set it where emotions are imbalanced and
            the scores matter more than the recall of rare emotions.
        calibrate_on: Rows that the calibration is fitted on. `dev`: the dev split; without one, the training rows if
            the fusion stage cross-fits them. `cross_fitted`: all training rows, scored by networks that did not train
            on their speakers. Set it for small corpora; training takes `fusion.n_folds` times as long.
        seed: Random seed of initialisation, shuffling and inner splits.
        device: Torch device for training, such as `cpu` or `cuda`.
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
    distance_exponent: NotNegative = 3.0
    calibration: Literal["temperature", "vector"] = "temperature"
    calibrate_on: Literal["dev", "cross_fitted"] = "dev"
    seed: Seed = 0
    device: str = "cpu"
    threads: Threads = 0
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
"""The settings of each stage. A setting that is not in the record is refused."""


def read_config(default: Config, path: str | Path | None = None, settings: Sequence[str] = ()) -> Config:
    """Settings from defaults, then a TOML file, then `key.key=value` settings; the last one wins.

    A `vocabulary` that is a TOML file is looked for in the folder of the settings file that names it. If `--set`
    or Python code names it, it is looked for in the working folder. It becomes an absolute path here, once.

    Args:
        default: Settings to start from.
        path: TOML file, or None.
        settings: Such as `speech.epochs=5`. The value is read as TOML; if it is not valid TOML, as text.

    Raises:
        ConfigError: Invalid TOML, an unknown key (valid ones are listed), a wrong type, a number out of range.

    Example:
        >>> read_config(StageConfig(), settings=["loss.gamma=1"]).loss.gamma
        1.0
    """
    values: dict[str, Any] = msgspec.to_builtins(default)
    if path is not None:
        _overlay(values, _with_vocabulary_path(read_toml(Path(path)), Path(path).parent), type(default), str(path))
        convert(values, type(default), str(path))
    for setting in settings:
        (key, equals, text), where = setting.partition("="), f"--set {shortened(setting)}"
        if not equals:
            raise ConfigError(f"{where}: expected key=value, for example speech.epochs=5")
        nested = reduce(lambda inner, part: {part: inner}, reversed(key.strip().split(".")), parse_toml(text))
        _overlay(values, _with_vocabulary_path(nested, Path()), type(default), where)
        convert(values, type(default), where)
    return convert(values, type(default), "defaults")


def convert(values: Mapping[str, Any], kind: type[Config], where: str) -> Config:
    """Convert plain values to a settings record.

    Raises:
        ConfigError: A wrong type, or a value that is not allowed.
    """
    try:
        config = msgspec.convert(values, kind, strict=True)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter for bytes that are not UTF-8
        raise ConfigError(f"{where}: {error}{_choices(kind, str(error))}") from error
    if fault := named_fault(config):
        raise ConfigError(f"{where}: {fault}")
    return config


def _choices(kind: Any, message: str) -> str:
    """The valid values of a setting, for an enum error of msgspec; else nothing."""
    if not message.startswith("Invalid enum value"):
        return ""
    place = message.partition(" - at `$.")[2].rstrip("`")
    for part in place.partition("[")[0].split("."):
        kind = next(item.type for item in fields(kind) if item.name == part)
    item = get_args(kind)[0] if "[" in place else kind  # of a tuple, what it holds
    return f", expected one of {', '.join(map(repr, get_args(item)))}"


def _with_vocabulary_path(changes: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same settings, with an absolute path where the vocabulary is a file in a folder."""
    name = str(changes.get("vocabulary"))
    return changes | {"vocabulary": str((folder / name).absolute())} if name.endswith(".toml") else changes


def _overlay(values: dict[str, Any], changes: Mapping[str, Any], kind: Any, where: str) -> None:
    """Write changes into nested values; refuse keys that the record does not have."""
    types = {item.name: item.type for item in fields(kind)}
    for key, change in changes.items():
        if key not in types:
            if RENAMED.get(key) in types:
                raise ConfigError(f"{where}: the setting '{key}' is now called '{RENAMED[key]}'; rename it")
            raise ConfigError(f"{where}: unknown key '{shortened(key)}'{_hint(key[:200], types)}")
        if is_dataclass(types[key]):
            if not isinstance(change, Mapping):
                raise ConfigError(f"{where}: '{key}' is a table, found {shortened(repr(change))}")
            _overlay(values[key], change, types[key], where)
        else:
            values[key] = change


def _hint(key: str, expected: Collection[str]) -> str:
    """Help for an unknown key: the stages that have it, the valid keys, the closest one."""
    name = RENAMED.get(key, key)
    users = [stage for stage, kind in STAGE_CONFIGS.items() if name in {item.name for item in fields(kind)}]
    elsewhere = f" here, which nothing would read; it is a setting of {', '.join(users)}" if users else ""
    nearest = f"; did you mean '{close[0]}'?" if (close := get_close_matches(key, expected, n=1)) else ""
    return f"{elsewhere}, expected one of {sorted(expected)}{nearest}"
