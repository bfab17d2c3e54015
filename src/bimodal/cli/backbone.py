"""Commands for backbones: backbone build, backbone list, backbone probe."""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from bimodal.cli.options import (
    CacheFolder,
    ManifestFile,
    NoCache,
    Quiet,
    RootFolder,
    Threads,
    chosen_cache,
    manifest_below,
)
from bimodal.cli.terminal import bar, say
from bimodal.errors import BimodalError

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@group.callback()
def backbone() -> None:
    """Build, list and compare pretrained encoders (backbones)."""


@group.command()
def build(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Folder as transformers or sentence-transformers saves it, or a Hub id, which is downloaded.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="DEST", help="New folder.")],
    layers: Annotated[
        str, typer.Option(metavar="LAYERS", help="Blocks whose outputs are taken: 2-4, or 1,6,12, or all.")
    ] = "all",
    precision: Annotated[
        Literal["float32", "float16", "int8"],
        typer.Option(help="Number format of the stored weights. int8 also multiplies those of a speech encoder so."),
    ] = "float16",
    licence: Annotated[
        str,
        typer.Option(
            metavar="SPDX",
            help="Licence of the weights, such as MIT, or LicenseRef-NAME. [default: as the model's README.md says]",
        ),
    ] = "",
    languages: Annotated[
        str,
        typer.Option(metavar="CODES", help="Languages of its words, such as en,de. [default: as README.md says]"),
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the backbone. [default: that of DEST]")] = "",
) -> None:
    """Make a backbone of a pretrained encoder.

    Families: Whisper, wav2vec 2.0, HuBERT, WavLM, data2vec-audio, encoder-type language models, sentence-transformers.
    Its outputs are compared with those of transformers.
    """
    module = _builder()
    codes = tuple(code for code in languages.replace(" ", "").split(",") if code)
    request = module.BuildRequest(layers=layers, precision=precision, licence=licence, languages=codes, name=name)
    built = module.build_from_source(source, out, request)
    if built.pickled:
        say(f"{source}: its weights are pickled; they were read by torch's restricted reader (weights_only)")
    found = built.description
    numbers = ", ".join(map(str, found.layers))
    say(f"{out}: {found.family}, layers {numbers}, {found.width} wide, {found.weights}, licence {found.licence}")
    say(f"parity with transformers {found.parity_cosine:.4f} (1 is equal), measured on probes made in code")
    if len(found.layers) > 1:
        say(f"to choose layers: bimodal backbone probe MANIFEST --backbone {out}")
    say(f"next: bimodal train ... --set {found.kind}_backbone={out}")


def _builder() -> Any:
    """The module that builds, or an error that says how to install what it needs."""
    try:
        import_module("transformers")
        return import_module("bimodal.features.build_from_source")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("bimodal"):
            raise
        raise BimodalError(
            f"building a backbone needs '{error.name}': pip install 'bimodal-emotion[finetune]'"
        ) from error


@group.command("list")
def list_(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FOLDER]...", help="Folders of backbones, or folders that hold such folders."),
    ] = None,
) -> None:
    """List the installed backbones, and those in folders."""
    from bimodal.evaluation.markdown import aligned
    from bimodal.features.installed_backbones import list_backbones

    header = ["backbone", "family", "layers", "width", "weights", "MB", "parity", "licence"]
    rows = []
    for found in list_backbones(folders or []):
        what = found.description
        layers = ",".join(map(str, what.layers))
        figures = [str(what.width), what.weights, f"{found.size / 1e6:.1f}", f"{what.parity_cosine:.4f}", what.licence]
        rows.append([found.name, found.family, layers, *figures])
    if rows:
        typer.echo(aligned([header, *rows]))
    else:
        say("no backbone is installed: pip install bimodal-backbones, or build one with 'bimodal backbone build'")


@group.command()
def probe(
    manifest: ManifestFile,
    backbone: Annotated[
        str, typer.Option("--backbone", metavar="BACKBONE", help="Folder, or name of an installed backbone.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder for probe.json, probe.md and probe.png. [default: only shown]")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, max=1000, help="Folds of whole speakers.")] = 5,
    vocabulary: Annotated[
        str, typer.Option(help="Emotions, as in 'bimodal train'; native takes the labels as they are.")
    ] = "ekman7",
    cache: CacheFolder = None,
    no_cache: NoCache = False,
    root: RootFolder = None,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> None:
    """Compare the layers of a backbone on unseen speakers.

    A linear probe is fitted to each layer. Rows of the split test are left out: a layer that you choose by this table
    has not seen them.
    """
    try:
        from bimodal.evaluation.layer_plot import check_probe_folder, new_figure, write_probe
        from bimodal.evaluation.layer_probe import ProbeOptions, describe_probe, next_layers, probe_layers
    except ModuleNotFoundError as error:
        raise BimodalError(f"probing needs '{error.name}': pip install 'bimodal-emotion[train,baselines]'") from error
    if out is not None:
        new_figure()  # what is missing is told before hours of work
        check_probe_folder(out)
    options = ProbeOptions(folds=folds, vocabulary=vocabulary, threads=threads)
    read = manifest_below(manifest, root)
    found = probe_layers(read, backbone, options, chosen_cache(cache, no_cache), partial(bar, quiet=quiet))
    typer.echo(describe_probe(found))
    if out is not None:
        write_probe(out, found)
        say(f"written to {out}")
    say(f"next: bimodal backbone build SOURCE DEST --layers {next_layers(found)} (the best layer and its neighbours)")
