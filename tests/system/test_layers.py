"""Imports run downward only, by folder; recognition never imports torch. A folder or file without a layer fails."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "bimodal"
LAYERS = (
    ("errors", "arrays", "moved"),
    ("records",),
    ("files",),
    ("config", "runtime"),
    ("audio",),
    ("data",),
    ("features",),
    ("asr", "diarisation", "models", "evaluation/metrics"),
    ("inference",),
    ("training", "output", "labelling"),
    ("scale",),
    ("evaluation",),
    ("demo", "service"),
    ("integrations",),
    ("cli",),
    ("__init__", "__main__"),
)
"""From the ground up: a file imports from layers below its own, or from its own folder."""

NO_TORCH = (
    "errors",
    "arrays",
    "moved",
    "records",
    "config",
    "runtime",
    "files",
    "audio",
    "data",
    "features",
    "asr",
    "diarisation",
    "inference",
    "labelling",
)
TORCH_ALLOWED = {"features/build_backbone.py", "features/whisper.py"} | {
    f"features/backbones/{name}.py"
    for name in ("contract", "data2vec_audio", "language_model", "waveform", "wavlm", "whisper")
}
"""What makes backbones, which recognition never imports."""

FILES = sorted(SOURCE.rglob("*.py"))
LAYER = {place: number for number, places in enumerate(LAYERS) for place in places}


def place_of(parts: tuple[str, ...]) -> str:
    """The place in `LAYERS` of a module below `bimodal`, by the parts of its name."""
    two = "/".join(parts[:2])
    return two if two in LAYER else parts[0]


def imports(file: Path) -> set[tuple[str, ...]]:
    """Modules below `bimodal` that a file imports, at the top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {tuple(name.split(".")[1:]) for name in names if name.startswith("bimodal.")}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_file_imports_from_lower_layers_or_its_own_folder(file: Path):
    here = place_of(file.relative_to(SOURCE).with_suffix("").parts)
    for module in imports(file):
        there = place_of(module)
        if there == "__version__":
            continue
        assert there in LAYER, f"{file} imports bimodal.{'.'.join(module)}, which has no layer"
        assert there == here or LAYER[there] < LAYER[here], f"{here} imports {there}, which is not below it"


def test_every_file_has_a_layer_and_few_lie_flat():
    for file in FILES:
        assert place_of(file.relative_to(SOURCE).with_suffix("").parts) in LAYER, f"{file}: give its place a layer"
    assert len(list(SOURCE.glob("*.py"))) <= 9


@pytest.mark.parametrize("place", NO_TORCH)
def test_what_recognition_imports_names_torch_nowhere(place: str):
    files = [file for file in FILES if place_of(file.relative_to(SOURCE).with_suffix("").parts) == place]
    assert files or place == "files", f"no file in {place}"
    for file in files:
        if str(file.relative_to(SOURCE)) in TORCH_ALLOWED:
            continue
        names = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
        assert "torch" not in names, file


OF_THE_WHOLE = ("system", "benchmarks", "hostile", "kill", "soak")


def test_tests_mirror_the_source_file_by_file():
    """A test file stands where its source does, or in a folder of tests of the whole."""
    tests = SOURCE.parents[1] / "tests"
    for file in tests.rglob("test_*.py"):
        place = file.relative_to(tests)
        if place.parts[0] in OF_THE_WHOLE:
            continue
        mirrored = SOURCE / place.with_name(place.name.removeprefix("test_"))
        assert mirrored.is_file() or mirrored.with_suffix("").is_dir(), f"{place} mirrors no file of the source"


def test_no_file_imports_itself_by_way_of_others():
    names = {file.relative_to(SOURCE).with_suffix("").parts: file for file in FILES}
    files = {parts[:-1] if parts[-1] == "__init__" else parts: file for parts, file in names.items()}
    imported = {
        module: {found for name in imports(file) for found in (name, name[:-1]) if found in files} - {module, ()}
        for module, file in files.items()
    }
    assert len(list(TopologicalSorter(imported).static_order())) >= len(FILES)  # raises CycleError for a circle
