"""A file imports only from lower floors, or from its own folder: the house of CONTRIBUTING.md, kept by a test."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "bimodal"
FLOORS = {
    "errors": 0, "labels": 0, "law": 0, "records": 0, "scores": 0,
    "containers": 1, "recordings": 1, "audio": 1, "text": 1, "manifest": 1, "config": 1, "runtime": 1,
    "speech_recognition": 1,
    "corpora": 2, "features": 2, "models": 2, "metrics": 2, "splits": 2,
    "checking": 3, "data": 3, "modelfolder": 3, "installed": 3, "transcribing": 3,
    "training": 4, "export": 4, "recognizer": 4, "hearing": 4, "adapting": 4, "exporting": 4,
    "explaining": 4, "findings": 4, "networks": 4, "ahead": 5,
    "segments": 4, "said": 4, "timeline": 4, "formats": 4,
    "evaluation": 5, "keeping": 5, "plotting": 5, "listening": 5,
    "service": 6, "bulk": 5, "demo": 6, "showing": 5,
    "cli": 7, "__main__": 8,
}  # fmt: skip
FILES = sorted(file for file in SOURCE.rglob("*.py") if file != SOURCE / "__init__.py")


def imported(file: Path) -> set[str]:
    """Names of the rooms (first part below `bimodal`) that a file imports from."""
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "bimodal":
            parts = (node.module or "").split(".")
            rooms |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            rooms |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("bimodal.")}
    return rooms


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_file_imports_only_from_lower_floors_or_its_own_folder(file: Path):
    room = file.relative_to(SOURCE).parts[0].removesuffix(".py")
    for other in imported(file) - {room}:
        same_folder = (
            FLOORS[other] == FLOORS[room] and (SOURCE / f"{room}.py").exists() and (SOURCE / f"{other}.py").exists()
        )
        assert FLOORS[other] < FLOORS[room] or same_folder, (
            f"{file.name} (floor {FLOORS[room]}) imports bimodal.{other}"
        )


def test_recognition_files_name_torch_nowhere():
    for room in (
        "recognizer",
        "hearing",
        "networks",
        "findings",
        "explaining",
        "adapting",
        "audio",
        "containers",
        "text",
        "runtime",
        "modelfolder",
        "installed",
        "exporting",
        "segments",
        "listening",
        "timeline",
        "said",
        "recordings",
        "keeping",
        "bulk",
        "formats",
        "records",
        "labels",
    ):
        file = SOURCE / f"{room}.py"
        if file.exists():
            assert "torch" not in {
                alias.name.split(".")[0]
                for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
                if isinstance(node, ast.Import | ast.ImportFrom)
                for alias in ([ast.alias(node.module or "")] if isinstance(node, ast.ImportFrom) else node.names)
            }, file
