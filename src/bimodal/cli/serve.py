"""The command `serve`: HTTP, WebSocket and the page."""

import os
import re
from functools import partial
from typing import Annotated, Any

import typer

from bimodal.cli.options import AllowHost, ConfigFile, Host, OpenPage, Port, Settings, Token
from bimodal.cli.terminal import say
from bimodal.errors import BimodalError

_ANY = ("0.0.0.0", "::")  # noqa: S104 (every address of this machine)


def serve(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Model folder, or name of an installed model. [default: permissive]"),
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = "",
    allow_host: AllowHost = None,
    public_url: Annotated[
        str,
        typer.Option(
            help="Address under which a proxy offers the server, such as https://example.org/emotions: its host, its "
            "pages and its path are accepted."
        ),
    ] = "",
    root_path: Annotated[
        str, typer.Option(help="Path under which a proxy offers the server. [default: that of --public-url]")
    ] = "",
    asr: Annotated[
        str, typer.Option(help="Whisper model in CTranslate2 format, for speech recognition. [extra asr]")
    ] = "",
    config: ConfigFile = None,
    settings: Settings = None,
    open_page: OpenPage = False,
) -> None:
    """Serve a model over HTTP and WebSocket, with a web page.

    The server is open to this machine only, unless --host says otherwise. It stores nothing of a request and logs
    nothing of its content. Change a limit with --set, for example --set clip_seconds=120; /v1/about lists all limits.
    """
    service = load_service()
    from bimodal.asr.whisper import Transcriber
    from bimodal.config import read_config
    from bimodal.inference.recognizer import Recognizer
    from bimodal.service.limits import Limits

    limits = read_config(Limits(), config, settings or ())
    recognizer = Recognizer(model, threads=1)
    needed = service.server.choose_token(host, token)
    public, origins, path = _public(public_url)
    hosts = tuple(name.lower() for name in [*own_hosts(host), *(allow_host or ()), *public])
    access = service.guard.Access(hosts=hosts, origins=origins, token=needed)
    transcriber = Transcriber(asr, threads=1) if asr else None
    root = _checked_path(root_path) or path
    app = service.app.create_app(recognizer, limits=limits, access=access, transcriber=transcriber, root_path=root)
    listening = service.server.listen(host, port)
    address = server_address(host, listening.getsockname()[1])
    page = f"{address}#token={needed}" if needed else address
    say(f"{recognizer.config.name} {recognizer.config.version}, licence of the weights: {recognizer.config.licence}")
    service.server.run_server(app, listening, limits, partial(_announce, page, address, open_page))


def _announce(page: str, address: str, open_page: bool) -> None:
    """Say where the server is; open the page if asked to."""
    say(f"page: {page}\ninterface: {address}v1/openapi.json")
    say("stop with Ctrl-C; requests in progress are finished first")
    if open_page:
        typer.launch(page)


def own_hosts(host: str) -> tuple[str, ...]:
    """Names of this machine, and the address that the server listens on."""
    from bimodal.service.guard import LOOPBACK

    return (*LOOPBACK, *(() if host in _ANY else (host,)))


def server_address(host: str, port: int) -> str:
    """Address of the page on this machine."""
    shown = "localhost" if host in _ANY else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/"


def _public(url: str) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Host names, origins and path of a public address; nothing of an empty one."""
    if not url:
        return (), (), ""
    from urllib.parse import urlsplit

    from bimodal.service.guard import split_host

    try:
        parts = urlsplit(url.lower())
    except ValueError:
        parts = urlsplit("")
    found = split_host(parts.netloc)
    if parts.scheme not in ("http", "https") or found is None or parts.query or parts.fragment:
        raise typer.BadParameter(f"--public-url {url!r}: expected an address such as https://example.org/emotions")
    default = {"http": "80", "https": "443"}[parts.scheme]
    place = parts.netloc.removesuffix(f":{default}")  # as browsers write an origin
    return (found[0],), (f"{parts.scheme}://{place}",), _checked_path(urlsplit(url).path)


def _checked_path(path: str) -> str:
    """A path without its last slash; empty for the top."""
    path = path.rstrip("/")
    if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
        raise typer.BadParameter(f"path {path!r}: expected one such as /emotions")
    return path


def load_service() -> Any:
    """The server package, or an error that says how to install its dependencies."""
    if os.name != "posix":
        raise BimodalError("the server needs Linux: it decodes recordings in processes with resource limits")
    try:
        import bimodal.service.app
        import bimodal.service.server
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("bimodal"):
            raise
        raise BimodalError(f"serving needs '{error.name}': pip install 'bimodal-emotion[serve]'") from error
    return bimodal.service
