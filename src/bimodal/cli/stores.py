"""Commands about what lies on the disk: the cache."""

from typing import Annotated

import typer

from bimodal.cli.options import CacheFolder, default_cache


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
