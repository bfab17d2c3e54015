"""Commands for models on the disk: models, export."""

from pathlib import Path
from typing import Annotated

import typer

from bimodal.cli.terminal import say


def models(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[MODEL]...", help="Model folders to describe as well.")
    ] = None,
    seal: Annotated[
        bool,
        typer.Option("--seal", help="Update the digest of config.json in each MODEL, after an edit of your own."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the models as JSON.")] = False,
) -> None:
    """List the installed models; describe model folders."""
    from bimodal.inference.installed import DEFAULT, installed_models
    from bimodal.inference.model_folder import seal_model
    from bimodal.output.console import describe_model, model_record

    if seal:
        if not paths:
            raise typer.BadParameter("--seal needs a model folder")
        for folder in paths:
            say(f"{folder}: revision {seal_model(folder).revision}, config.json has its digest")
        return
    found = installed_models()
    if as_json:
        import msgspec  # start-up

        records = [model_record(name, folder, default=name == DEFAULT) for name, folder in found.items()]
        records += [model_record(str(folder), folder) for folder in paths or []]
        typer.echo(msgspec.json.format(msgspec.json.encode(records)).decode())
        return
    for name, folder in found.items():
        typer.echo(describe_model(f"{name} (default)" if name == DEFAULT else name, folder))
    for folder in paths or []:
        typer.echo(describe_model(str(folder), folder))
    if not found:
        say("no model is installed: install one with 'pip install bimodal-models', or train one with 'bimodal train'")


def export(
    model: Annotated[str, typer.Argument(help="Model folder, or name of an installed model.", metavar="MODEL")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder.")],
) -> None:
    """Copy a model and its backbones to one portable folder."""
    from bimodal.inference.export import export_model
    from bimodal.inference.installed import find_model

    export_model(find_model(model), out)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    say(f"{out}: {size / 1e6:.1f} MB, with its backbones; elsewhere: bimodal recognize -m {out} RECORDING")
