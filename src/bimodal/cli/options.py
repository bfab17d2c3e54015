"""Arguments and options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

ManifestFile = Annotated[Path, typer.Argument(help="CSV or JSON Lines, one utterance a line.", metavar="MANIFEST")]
ModelFolder = Annotated[Path, typer.Argument(help="Model folder, as 'bimodal train' writes it.", metavar="MODEL")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file; what it leaves out keeps its default.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="One value, such as speech.epochs=5; repeatable.")]
CacheFolder = Annotated[
    Path | None, typer.Option("--cache", help="Feature cache. [default: $BIMODAL_CACHE or ~/.cache]")
]
Threads = Annotated[int, typer.Option("--threads", min=0, help="Threads of one operator; 0: one per core.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


def default_cache() -> Path:
    """Folder of the feature cache: `$BIMODAL_CACHE`, else below the user's cache folder."""
    named = os.environ.get("BIMODAL_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bimodal" / "features"
