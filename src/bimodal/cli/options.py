"""Arguments and options that several commands share."""

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

ManifestFile = Annotated[
    Path, typer.Argument(help="CSV or JSON Lines file with one utterance per line.", metavar="MANIFEST")
]
RootFolder = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="FOLDER",
        help="Recordings of the manifest may lie below FOLDER, too: by absolute path, from ~, relative to FOLDER, or "
        "through a symbolic link. [default: below the manifest's folder alone]",
    ),
]
ModelFolder = Annotated[Path, typer.Argument(help="Model folder, as written by 'bimodal train'.", metavar="MODEL")]
ModelOrName = Annotated[
    Path, typer.Argument(help="Model folder, or the name of an installed model ('bimodal models').", metavar="MODEL")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings; missing settings keep their defaults.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="One setting, such as speech.epochs=5. Repeatable.")]
CacheFolder = Annotated[
    Path | None, typer.Option("--cache", help="Folder of the feature cache. [default: $BIMODAL_CACHE or ~/.cache]")
]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Keep features in memory. Nothing is written outside the output.")
]
Threads = Annotated[int, typer.Option("--threads", min=0, max=1024, help="Number of CPU threads; 0 uses one per core.")]
Host = Annotated[str, typer.Option(help="Address to listen on. Addresses outside this machine need a token.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 chooses a free one.")]
Token = Annotated[str, typer.Option(envvar="BIMODAL_TOKEN", help="Token that requests must carry.", show_envvar=True)]
AllowHost = Annotated[list[str] | None, typer.Option(help="Further host name of the server. Repeatable.")]
OpenPage = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress bars.")]

TRANSCRIPTS: Final = "transcripts"
"""Folder of the cache that holds transcripts by speech recognition."""


def renamed(old: str, new: str) -> Any:
    """A hidden option that is refused with its new name.

    Args:
        old: Option that earlier versions had.
        new: Option that replaces it.
    """

    def refuse(value: str | bool | None) -> None:
        if value not in (None, False):
            raise typer.BadParameter(f"this option is now called {new}")

    return typer.Option(old, hidden=True, callback=refuse)


def manifest_below(manifest: Path, root: Path | None) -> Any:
    """A manifest as the functions of the package take it: its path, or what was read with the recordings' folder."""
    if root is None:
        return manifest
    from bimodal.data.manifest import read_manifest  # start-up

    return read_manifest(manifest, root=root)


def default_cache() -> Path:
    """Folder of the feature cache: `$BIMODAL_CACHE`, else below the user's cache folder."""
    named = os.environ.get("BIMODAL_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bimodal" / "features"


def chosen_cache(named: Path | None, no_cache: bool) -> Path | None:
    """Folder of the feature cache; None with `--no-cache`."""
    if named is not None and no_cache:
        raise typer.BadParameter("give either --cache or --no-cache", param_hint="--cache/--no-cache")
    return None if no_cache else named or default_cache()
