"""Models of the Hugging Face Hub by their id: in the cache on this machine, or downloaded where that is asked for.

The Hub's client repeats for most of a minute what a machine without network cannot do, so that is looked at first.
"""

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLongError
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from bimodal.errors import BimodalError
from bimodal.records import printable

_WITHIN: Final = 5.0  # seconds in which a network answers


def find_on_hub(
    name: str,
    files: Sequence[str],
    *,
    download: bool,
    raises: type[BimodalError],
    otherwise: str,
    ignored: Sequence[str] = (),
) -> Path:
    """Folder of a Hub id in the Hub's cache on this machine.

    Args:
        name: `owner/name`, or `owner/name@revision`.
        files: Patterns of the files that are needed.
        download: Download what is not there. False: only look.
        raises: Class of the errors.
        otherwise: What to do where the model is not there and not to be downloaded.
        ignored: Patterns of files that are left out.

    Raises:
        BimodalError: Of the class `raises`: the model is not there, and why, and what to do.
    """
    try:
        import huggingface_hub  # heavy, and needed by Hub ids alone
    except ModuleNotFoundError as error:
        needs = f"as a Hub id it needs '{error.name}': pip install 'bimodal-emotion[hub]'"
        raise raises(f"{name}: no such folder; {needs}") from error
    repository, _, revision = name.partition("@")
    options: dict[str, Any] = {"revision": revision or None, "allow_patterns": list(files)}
    options["ignore_patterns"] = list(ignored) or None
    problem = why_unreachable() if download else ""
    local = problem != "" or not download
    try:
        return Path(huggingface_hub.snapshot_download(repository, local_files_only=local, **options))
    except huggingface_hub.errors.RepositoryNotFoundError as error:
        raise raises(f"{name}: neither a folder nor a public model of the Hugging Face Hub") from error
    except Exception as error:  # the Hub's client raises a dozen kinds
        if not download:
            raise raises(f"{name}: neither a folder nor a downloaded model; {otherwise}") from error
        if problem:
            raise raises(
                f"{name}: no such folder, and the Hugging Face Hub is not reachable ({problem}); give a local folder, "
                "or run again with a network"
            ) from error
        raise raises(f"{name}: cannot be downloaded ({_first_line(error)})") from error


def why_unreachable() -> str:
    """Why the Hub, or the proxy that leads to it, does not answer; empty if it does."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    place = urlsplit(getproxies().get(urlsplit(constants.ENDPOINT).scheme) or constants.ENDPOINT)
    port = place.port or (80 if place.scheme == "http" else 443)
    threads = ThreadPoolExecutor(1)  # looking up a name has no time limit of its own
    try:
        threads.submit(_connect, place.hostname or "", port).result(_WITHIN)
    except TooLongError:
        return f"{place.hostname} does not answer within {_WITHIN:g} s"
    except (OSError, RuntimeError) as error:
        return f"{place.hostname}: {_first_line(error)}"
    finally:
        threads.shutdown(wait=False)
    return ""


def _connect(host: str, port: int) -> None:
    socket.create_connection((host, port), timeout=_WITHIN).close()


def _first_line(error: BaseException) -> str:
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable((told.strip().splitlines() or [type(error).__name__])[0])[:200].rstrip(".")
