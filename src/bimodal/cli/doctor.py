"""The command `doctor`: what this installation is, what works, what is missing, and how to get it."""

import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from bimodal.cli.options import default_cache
from bimodal.errors import BimodalError
from bimodal.records import printable

State = Literal["ok", "warning", "missing", "broken"]

BASE: Final = ("numpy", "onnxruntime", "soundfile", "soxr", "msgspec", "safetensors", "tokenizers", "typer", "av")
"""Distributions that recognition needs."""

FEATURES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "speech recognition (--transcribe)": ("asr", ("faster_whisper",)),
    "server (serve)": ("serve", ("fastapi", "uvicorn", "websockets", "python_multipart", "prometheus_client")),
    "client of a server": ("client", ("httpx", "websockets")),
    "microphone (listen)": ("listen", ("sounddevice", "rich")),
    "pictures (--plot)": ("plot", ("matplotlib",)),
    "Hugging Face Hub (--download)": ("hub", ("huggingface_hub",)),
    "training (train, evaluate)": ("train", ("torch", "onnx", "onnxscript", "matplotlib")),
    "tuning encoders (tune)": ("finetune", ("transformers", "peft", "torch")),
    "demo corpus (demo)": ("demo", ("espeakng_loader", "torch", "fastapi")),
}
"""Features beyond recognition: the extra that installs each, and the modules that it needs."""

TOLERANCE: Final = 0.03
"""How far a score of the self-test may lie from the expected one: decoders and processors differ a little."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: Group of findings.
        name: What was looked at.
        state: `missing` is a feature that is not installed; `broken` needs mending.
        found: What was found.
        advice: What to do; empty if nothing.
    """

    topic: str
    name: str
    state: State
    found: str
    advice: str = ""


def doctor(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="Further model folders to check.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check this installation and run a self-test.

    It shows versions, models, decoders and extras. The exit code is 1 if something is broken.
    """
    findings = list(examine(models or []))
    if as_json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode([asdict(one) for one in findings])).decode())
    else:
        typer.echo(describe(findings))
    if any(one.state == "broken" for one in findings):
        sys.exit(1)


def examine(models: list[str]) -> Iterator[Finding]:
    """All findings, in the order in which they are shown."""
    yield from _versions()
    yield from _machine()
    yield from _decoders()
    yield from _features()
    yield from _models(models)
    yield _attempt("self-test", "packaged clips", _self_test, "install bimodal and bimodal-models again")


def describe(findings: list[Finding]) -> str:
    """Findings as lines, grouped by topic, and a last line that sums them up."""
    lines, topic = [], ""
    for one in findings:
        if one.topic != topic:
            lines.append(one.topic)
            topic = one.topic
        mark = "" if one.state == "ok" else f"{one.state}: "
        lines.append(f"  {one.name:<34}{mark}{one.found}{f'; {one.advice}' if one.advice else ''}")
    counts = {state: sum(one.state == state for one in findings) for state in ("broken", "warning", "missing")}
    told = [f"{count} {state}" for state, count in counts.items() if count]
    return printable("\n".join([*lines, f"result: {', '.join(told) or 'all is well'}"]))


def _attempt(topic: str, name: str, work: Callable[[], str], advice: str) -> Finding:
    """The finding of some work that returns what it found, and raises where something is broken."""
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = work()
    except BimodalError as error:
        return Finding(topic=topic, name=name, state="broken", found=str(error))
    except Exception as error:  # the doctor itself must not fail, whatever is wrong with a library
        return Finding(topic=topic, name=name, state="broken", found=f"{type(error).__name__}: {error}", advice=advice)
    if ours := [str(one.message) for one in told if issubclass(one.category, UserWarning)]:
        return Finding(topic=topic, name=name, state="warning", found=ours[0])
    return Finding(topic=topic, name=name, state="ok", found=found)


def _version(distribution: str) -> str:
    from bimodal import __version__

    try:
        return __version__ if distribution == "bimodal" else version(distribution.replace("_", "-"))
    except PackageNotFoundError:
        return ""


def _versions() -> Iterator[Finding]:
    known = {"bimodal": _version("bimodal"), "Python": platform.python_version()}
    for name, found in known.items():
        yield Finding(topic="versions", name=name, state="ok", found=found)
    for name in BASE:
        found = _version(name)
        advice = "" if found else "pip install --force-reinstall bimodal-emotion"
        state: State = "ok" if found else "broken"
        yield Finding(topic="versions", name=name, state=state, found=found or "not installed", advice=advice)


def _machine() -> Iterator[Finding]:
    topic = "machine"
    yield Finding(topic=topic, name="system", state="ok", found=f"{platform.system()} {platform.machine()}")
    yield Finding(topic=topic, name="threads", state="ok", found=_threads())
    for name, folder in {"feature cache": default_cache(), "temporary folder": Path(tempfile.gettempdir())}.items():
        there = next((parent for parent in (folder, *folder.parents) if parent.is_dir()), Path("/"))
        fine = os.access(there, os.W_OK)
        advice = "" if fine else "name another with BIMODAL_CACHE or TMPDIR"
        state: State = "ok" if fine else "broken"
        yield Finding(topic=topic, name=name, state=state, found=f"{folder}", advice=advice)


def _threads() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit = os.environ.get("OMP_NUM_THREADS")
    return f"{usable} of {os.cpu_count()} cores" + (f", OMP_NUM_THREADS={limit}" if limit else "")


def _decoders() -> Iterator[Finding]:
    topic, advice = "decoders", "pip install --force-reinstall soundfile"
    yield _attempt(topic, "libsndfile", _libsndfile, advice)
    yield _attempt(topic, "PyAV", _pyav, "pip install --force-reinstall av")
    yield _attempt(topic, "onnxruntime", _onnxruntime, "pip install --force-reinstall onnxruntime")


def _libsndfile() -> str:
    import soundfile

    return str(soundfile.__libsndfile_version__)


def _pyav() -> str:
    import av

    from bimodal.audio.decode import load_signal

    seconds = len(load_signal(samples_folder() / "cross.mp3")) / 16_000
    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"{av.__version__}, avcodec {codec}; a packaged MP3 has {seconds:.2f} s"


def _onnxruntime() -> str:
    import onnxruntime

    return ", ".join(onnxruntime.get_available_providers())


def samples_folder() -> Path:
    """Folder of the packaged clips."""
    import bimodal

    return Path(bimodal.__file__).parent / "service" / "static" / "samples"


def _features() -> Iterator[Finding]:
    for feature, (extra, modules) in FEATURES.items():
        lacking = [name for name in modules if not _importable(name)]
        if lacking:
            yield Finding(
                topic="features",
                name=feature,
                state="missing",
                found=f"needs {', '.join(map(_lack, lacking))}",
                advice=f"pip install 'bimodal-emotion[{extra}]'",
            )
        else:
            found = ", ".join(f"{name} {_version(name)}".strip() for name in modules)
            yield Finding(topic="features", name=feature, state="ok", found=found)


def _importable(module: str) -> bool:
    """Whether a module is there; those that need a system library are imported."""
    if find_spec(module) is None:
        return False
    if module != "sounddevice":
        return True  # the others are heavy, and fail for no reason of the system
    try:
        __import__(module)
    except (ImportError, OSError):
        return False
    return True


def _lack(module: str) -> str:
    return module if find_spec(module) is None else f"a system library of {module} (PortAudio for sounddevice)"


def _models(folders: list[str]) -> Iterator[Finding]:
    from bimodal.inference.installed import DEFAULT, find_model, installed_models

    names = [DEFAULT, *(name for name in installed_models() if name != DEFAULT), *folders]
    for name in names:
        yield _attempt("models", name, lambda name=name: _model(find_model(name)), "copy the model again")  # type: ignore[misc]


def _model(folder: Path) -> str:
    """Check the digests, graphs and backbones of a model."""
    from bimodal.features.backbone import load_backbone
    from bimodal.inference.model import Model
    from bimodal.inference.model_folder import BACKBONES, GRAPHS, load_model_config

    config = load_model_config(folder)
    opened = Model(folder, threads=1, verify=False)
    stages = {"speech": config.speech, "text": config.text, "fusion": config.fusion_temperatures}
    for stage in [stage for stage in GRAPHS if stages[stage]]:
        opened.session(stage)
    for stage, modality in (("speech", config.speech), ("text", config.text)):
        if modality is not None and modality.backbone:
            inside = folder / BACKBONES / stage
            load_backbone(inside if inside.is_dir() else modality.backbone, threads=1, verify=True)
            _ = opened.speech_backbone if stage == "speech" else opened.text_backbone
    _ = opened.ood_stats, opened.adaptation
    return f"{config.name} {config.version}, revision {config.revision}, {config.licence}; {folder}"


def expected_scores() -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Scores of the packaged clips by revision of the model, clip, and what was given (`voice`, `both`)."""
    import msgspec

    found: dict[str, Any] = msgspec.json.decode((Path(__file__).with_name("self_test.json")).read_bytes())
    return found


def measure_scores(model: str | Path | None = None) -> dict[str, dict[str, dict[str, float]]]:
    """Scores of a model for the packaged clips of one speaker: from the voice alone, with words if there are any."""
    import msgspec

    from bimodal.inference.recognizer import Recognizer

    recognizer, folder = Recognizer(model, threads=1), samples_folder()
    listed = msgspec.json.decode((folder / "samples.json").read_bytes())
    found = {}
    for sample in [one for one in listed if not one["stereo"]]:
        file, words = folder / sample["file"], sample["words"]
        found[sample["file"]] = {"voice": dict(recognizer.recognize(file).scores)}
        if words:
            found[sample["file"]]["both"] = dict(recognizer.recognize(file, transcript=words).scores)
    return found


def _self_test() -> str:
    """Recognise the packaged clips with the default model, and compare the scores with the expected ones.

    Raises:
        BimodalError: They differ.
    """
    from bimodal.inference.installed import find_model
    from bimodal.inference.model_folder import load_model_config

    revision = load_model_config(find_model(), verify=False).revision
    found, expected = measure_scores(), expected_scores().get(revision)
    if expected is None:
        return f"{len(found)} clips recognised; this version knows no expected scores of revision {revision}"
    far = largest_difference(found, expected)
    if not far <= TOLERANCE:
        raise BimodalError(
            f"a score differs by {far:.3f} from the expected one, more than {TOLERANCE}; install bimodal, "
            "bimodal-models and bimodal-backbones again, then report it"
        )
    return f"{len(found)} clips recognised, scores within {TOLERANCE} of the expected ones (farthest {far:.4f})"


def largest_difference(found: Mapping[str, Any], expected: Mapping[str, Any]) -> float:
    """The largest difference of a score; infinite where clips or emotions differ.

    Example:
        >>> round(largest_difference({"a": {"both": {"joy": 0.5}}}, {"a": {"both": {"joy": 0.75}}}), 2)
        0.25
    """
    if not isinstance(expected, Mapping):
        return abs(found - expected)
    if set(found) != set(expected):
        return float("inf")
    return max((largest_difference(found[name], expected[name]) for name in expected), default=0.0)
