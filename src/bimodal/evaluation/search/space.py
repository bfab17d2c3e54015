"""The space of a search: which settings are tried, and which values of each."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Final

from bimodal.config import TrainConfig, read_config
from bimodal.errors import ConfigError
from bimodal.files import read_toml
from bimodal.records import shortened

_RANGE: Final = ("low", "high", "log", "step")
_BUILT_IN: Final = "default space"
_FORMS: Final = "expected a list of values, such as [100, 200], or a range, such as {low = 0.1, high = 0.5}"
_SEARCHED: Final = ("speech", "text", "fusion", "speech_backbone", "text_backbone", "distance_exponent")
"""Settings that may be searched, and the stages whose settings may be. All others say what is measured."""

DEFAULT_SPACE: Final[Mapping[str, Any]] = {
    "speech.learning_rate": {"low": 3e-4, "high": 3e-3, "log": True},
    "speech.dropout": {"low": 0.2, "high": 0.6},
    "speech.pca_components": [100, 200, 400],
    "speech.input_noise_std": {"low": 0.0, "high": 1.5},
    "speech.loss.beta": {"low": 0.0, "high": 2.0},
    "speech.loss.class_weights": ["none", "sqrt", "balanced"],
    "text.learning_rate": {"low": 3e-4, "high": 3e-3, "log": True},
    "text.dropout": {"low": 0.2, "high": 0.6},
    "fusion.kind": ["gate", "experts", "plain_words"],
}
"""What is tried where no space is named: the settings that matter most in our experience."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One setting of a space, with a list of values or a range.

    Attributes:
        name: Of the setting, such as `speech.loss.beta`.
        choices: Values to try; empty for a range.
        low: Least value of a range.
        high: Largest value of a range.
        log: Draw on a logarithmic scale.
        step: Distance of values from `low`; 0 for any value.
        whole: Whether the values are whole numbers.
        default: Value of the settings without a search.
    """

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float = 0.0
    whole: bool = False
    default: Any = None

    @property
    def holds_default(self) -> bool:
        """Whether the default value can be tried."""
        return self.default in self.choices if self.choices else self.low <= self.default <= self.high

    def __str__(self) -> str:
        if self.choices:
            return f"one of {', '.join(json.dumps(value) for value in self.choices)}"
        return f"{self.low:g} to {self.high:g}{', logarithmic' if self.log else ''}"


def read_space(path: Path | None, config: TrainConfig, parts: Sequence[str]) -> tuple[Dimension, ...]:
    """The space of a TOML file, or the default space; every value in it is one that the setting takes.

    Args:
        path: TOML file; None for `DEFAULT_SPACE`.
        config: Settings that the search starts from.
        parts: Stages that are trained: `speech`, `text`, `fusion`.

    Raises:
        ConfigError: An unknown setting, a wrong type, an empty range, a setting of a stage that is not trained, or
            one that must not be searched.

    Example:
        >>> [str(one) for one in read_space(None, TrainConfig(), ["text"])]
        ['0.0003 to 0.003, logarithmic', '0.2 to 0.6']
    """
    where = _BUILT_IN if path is None else str(path)
    listed = dict(DEFAULT_SPACE if path is None else _flat(read_toml(path), where))
    if path is None:
        listed = {name: value for name, value in listed.items() if name.partition(".")[0] in parts}
    if not listed:
        raise ConfigError(f"{where}: names no setting; {_FORMS}")
    return tuple(_dimension(name, value, config, parts, where) for name, value in listed.items())


def with_values(config: TrainConfig, values: Mapping[str, Any], where: str = "search") -> TrainConfig:
    """Settings with some values changed.

    Args:
        config: Settings to start from.
        values: By name, such as `speech.loss.beta`.
        where: For an error: what names the values.

    Raises:
        ConfigError: An unknown setting or a wrong value.

    Example:
        >>> with_values(TrainConfig(), {"speech.loss.beta": 0.5}).speech.loss.beta
        0.5
    """
    for name, value in values.items():
        setting = f"{name}={json.dumps(value)}"
        try:
            config = read_config(config, settings=[setting])
        except ConfigError as error:
            raise ConfigError(f"{where}: {name}: {str(error).removeprefix(f'--set {shortened(setting)}: ')}") from error
    return config


def value_of(config: TrainConfig, name: str) -> Any:
    """The value of a setting by its name, tuples as lists.

    Example:
        >>> value_of(TrainConfig(), "speech.statistics")
        ['mean', 'std']
    """
    value = reduce(getattr, name.split("."), config)
    return list(value) if isinstance(value, tuple) else value


def _flat(table: Mapping[str, Any], where: str, start: str = "") -> Iterator[tuple[str, Any]]:
    """The settings of nested tables, by their whole names."""
    for key, value in table.items():
        name = f"{start}{key}"
        if isinstance(value, Mapping) and value and not set(_RANGE) & set(value):
            yield from _flat(value, where, f"{name}.")
        elif isinstance(value, list | Mapping):
            yield name, value
        else:
            raise ConfigError(f"{where}: {shortened(name)} is {shortened(repr(value))}, {_FORMS}")


def _dimension(name: str, given: Any, config: TrainConfig, parts: Sequence[str], where: str) -> Dimension:
    """One setting of the space, checked."""
    stage, told = name.partition(".")[0], f"{where}: {shortened(name)}"
    known = {*_SEARCHED, "name"} | set(vars(config))
    if stage in known and stage not in _SEARCHED:
        raise ConfigError(f"{told} cannot be searched: it says what is measured; set it with --config or --set")
    if stage in ("speech", "text", "fusion") and stage not in parts:
        raise ConfigError(f"{told}: the manifest gives nothing to train the {stage} stage on; leave it out")
    if isinstance(given, list):
        if not given:
            raise ConfigError(f"{told} has no value; {_FORMS}")
        values = [value_of(with_values(config, {name: value}, where), name) for value in given]
        unique = tuple(value for place, value in enumerate(values) if value not in values[:place])
        return Dimension(name=name, choices=unique, default=value_of(config, name))
    return _range(name, given, config, where)


def _range(name: str, given: Mapping[str, Any], config: TrainConfig, where: str) -> Dimension:
    """A range of numbers, checked."""
    told = f"{where}: {shortened(name)}"
    if unknown := sorted(set(given) - set(_RANGE)):
        raise ConfigError(f"{told} has the unknown key {shortened(unknown[0])!r}, expected low, high, log, step")
    if not {"low", "high"} <= set(given):
        raise ConfigError(f"{told} needs low and high; {_FORMS}")
    low, high = (value_of(with_values(config, {name: given[end]}, where), name) for end in ("low", "high"))
    if isinstance(low, bool) or not isinstance(low, int | float):
        raise ConfigError(f"{told} is no number, so it has no range; list its values")
    log, step = given.get("log", False), given.get("step", 0)
    if not isinstance(log, bool) or isinstance(step, bool) or not isinstance(step, int | float) or step < 0:
        raise ConfigError(f"{told}: log is true or false, and step a number above 0")
    if not low < high or step > high - low:
        raise ConfigError(f"{told}: the range from {low:g} to {high:g} is empty; low must be below high")
    if log and (low <= 0 or step):
        raise ConfigError(f"{told}: a logarithmic range begins above 0 and has no step, found low = {low:g}")
    if isinstance(low, int) and step != int(step):
        raise ConfigError(f"{told} takes whole numbers, found step = {step:g}")
    default = value_of(config, name)
    return Dimension(name=name, low=low, high=high, log=log, step=step, whole=isinstance(low, int), default=default)
