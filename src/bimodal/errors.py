"""Exceptions: each has one sentence: where, what was found, what was expected, what to do."""


class BimodalError(Exception):
    """Something the user can mend; the message is one clear sentence, shown without a traceback."""


class AudioError(BimodalError):
    """A recording that is missing, empty, truncated, not audio, or holds unusable samples."""


class ManifestError(BimodalError):
    """A manifest that cannot be used; the message lists its first problems, each with file and line."""


class SplitError(BimodalError):
    """A split or fold that leaks speakers, lacks a part, or cannot be made."""


class ConfigError(BimodalError):
    """A configuration with an unknown key, a wrong type or a value out of range."""


class BackboneError(BimodalError):
    """A backbone that is missing, altered, or does not pass its parity check."""


class CacheError(BimodalError):
    """A feature cache that cannot be read or written, for example because the disk is full."""


class ModelFolderError(BimodalError):
    """A model folder with a file that is missing, altered or of an unknown schema."""


class TrainingError(BimodalError):
    """Data or a run folder that a stage cannot train on or resume from."""


class LostProcessError(TrainingError):
    """Another process of the same training has ended; it knows the reason."""


class TranscriptionError(BimodalError):
    """A speech recogniser that is missing, or asked for what it cannot do."""


class LabellingError(BimodalError):
    """A folder of labels, a label or a rater's name that cannot be used."""


class ModelFolderWarning(UserWarning):
    """A model folder that can be used, but about which its user should know something."""
