"""The command `mcp`: a Model Context Protocol server for agents."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bimodal.cli.options import AllowHost, Threads
from bimodal.cli.terminal import say
from bimodal.errors import BimodalError


def mcp(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Model folder, or name of an installed model. [default: permissive]"),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Folder of the recordings; agents reach nothing outside it.")
    ] = Path(),
    http: Annotated[
        bool, typer.Option("--http", help="Serve streamable HTTP at /mcp. [default: standard input and output]")
    ] = False,
    host: Annotated[str, typer.Option(help="Address for --http. Addresses outside this machine need a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port for --http; 0 chooses a free one.")] = 8001,
    token: Annotated[
        str, typer.Option(envvar="BIMODAL_TOKEN", help="Token that HTTP requests must carry.", show_envvar=True)
    ] = "",
    allow_host: AllowHost = None,
    asr: Annotated[
        str, typer.Option(help="Whisper model in CTranslate2 format, for speech recognition. [extra asr]")
    ] = "",
    threads: Threads = 0,
) -> None:
    """Serve recognition to agents (Model Context Protocol).

    Without --http, an agent starts this command itself and talks to it over standard input and output.
    """
    made = _module()
    from bimodal.asr.whisper import Transcriber
    from bimodal.inference.recognizer import Recognizer

    recognizer = Recognizer(model, threads=threads)
    transcriber = Transcriber(asr, threads=threads) if asr else None
    server = made.make_server(recognizer, folder, transcriber=transcriber)
    recognizer.warm_up()
    config = recognizer.config
    say(f"{config.name} {config.version}, licence of the weights: {config.licence}; recordings in {folder.resolve()}")
    if not http:
        server.run("stdio")
        return
    _serve(server, host, port, token, allow_host or [])


def _serve(server: Any, host: str, port: int, token: str, names: list[str]) -> None:
    """Serve over HTTP behind the guard of `bimodal serve`: host, origin, token, size and time of a request."""
    from mcp.server.transport_security import TransportSecuritySettings

    from bimodal.cli.serve import own_hosts, server_address
    from bimodal.service.guard import Access, Guard
    from bimodal.service.limits import Limits
    from bimodal.service.measuring import Measures
    from bimodal.service.server import choose_token, listen, run_server

    limits, needed = Limits(clip_bytes=1 << 20, stop_seconds=5), choose_token(host, token)
    hosts = tuple(name.lower() for name in [*own_hosts(host), *names])
    app = server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # the guard does it
    )
    app.add_middleware(Guard, limits=limits, access=Access(hosts=hosts, token=needed), measures=Measures())
    listening = listen(host, port)
    address = f"{server_address(host, listening.getsockname()[1])}mcp"
    told = f"MCP: {address}" + (f"\ntoken: {needed}" if needed else "")
    run_server(app, listening, limits, lambda: say(f"{told}\nstop with Ctrl-C"))


def _module() -> Any:
    """The MCP server, or an error that says how to install what it needs."""
    try:
        from bimodal.integrations import mcp_server
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("bimodal"):
            raise
        raise BimodalError(f"the MCP server needs '{error.name}': pip install 'bimodal-emotion[mcp]'") from error
    return mcp_server
