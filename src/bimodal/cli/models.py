"""Commands about what lies on the disk: models, the cache."""

from pathlib import Path
from typing import Annotated

import typer

from bimodal.cli.options import CacheFolder, default_cache
from bimodal.cli.terminal import say


def models(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="[MODEL]...", help="Folders to describe, too.")] = None,
) -> None:
    """List the installed models, and any model folders: licence, emotions, what each side gives, disk."""
    from bimodal.inference.installed import DEFAULT, installed_models
    from bimodal.output.console import describe_model

    found = installed_models()
    for name, folder in found.items():
        typer.echo(describe_model(f"{name} (the default)" if name == DEFAULT else name, folder))
    for folder in paths or []:
        typer.echo(describe_model(str(folder), folder))
    if not found:
        say("no model is installed; 'pip install bimodal-models' brings one, 'bimodal train' makes one")


def export(
    model: Annotated[str, typer.Argument(help="Model folder, or name of an installed model.", metavar="MODEL")],
    out: Annotated[Path, typer.Argument(help="New folder.")],
) -> None:
    """Write a model and its backbones as one folder, which another machine can use offline."""
    from bimodal.inference.export import export_model
    from bimodal.inference.installed import find_model

    export_model(find_model(model), out)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    say(f"{out}: {size / 1e6:.1f} MB, with its backbones; elsewhere: bimodal recognize -m {out} RECORDING")


def cache(
    folder: CacheFolder = None, clear: Annotated[bool, typer.Option("--clear", help="Delete what it holds.")] = False
) -> None:
    """Show the feature cache's size, or empty it."""
    from bimodal.features.cache import FeatureCache

    place = folder or default_cache()
    held = FeatureCache(place)
    if clear:
        typer.echo(f"{place}: {held.clear() / 1e6:.1f} MB freed")
    else:
        typer.echo(f"{place}: {len(held)} entries, {held.size / 1e6:.1f} MB")
