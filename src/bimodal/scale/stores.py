"""Where recordings and manifests lie: files of this machine, and what fsspec opens by a URL (S3, HTTP)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from bimodal.errors import BimodalError
from bimodal.records import shortened

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_ABSENT: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


class StoreError(BimodalError):
    """A store that cannot be asked at the moment, or a missing package that would ask it."""


def is_url(path: str) -> bool:
    """Whether a text is a URL and no path of this machine.

    Example:
        >>> is_url("s3://calls/a.wav"), is_url("calls/a.wav")
        (True, False)
    """
    return _URL.match(path) is not None


def open_store(source: str) -> tuple[Any, str]:
    """The file system of a path or URL, as fsspec has it, and the path in it.

    Raises:
        StoreError: No such protocol, or a package is missing.
    """
    from fsspec.core import url_to_fs  # here and below: fsspec takes a quarter of a second

    try:
        store, path = url_to_fs(source)
    except ImportError as error:
        raise StoreError(f"{source}: {error}; for S3 use pip install 'bimodal-emotion[s3]'") from error
    except ValueError as error:
        raise StoreError(f"{source}: no store that fsspec knows ({error})") from error
    return store, path


@contextmanager
def asking(url: str) -> Iterator[None]:
    """Turn what stores raise into one sentence: `BimodalError` for one file, `StoreError` for the store itself.

    Args:
        url: What is asked for.
    """
    try:
        yield
    except _ABSENT as error:
        if isinstance(error.__cause__, OSError):  # a store of web pages calls each of them missing when it is away
            raise StoreError(f"{shortened(url)}: cannot be read ({shortened(str(error.__cause__))})") from error
        reason = {FileNotFoundError: "no such file", PermissionError: "access is denied"}.get(type(error), "no file")
        raise BimodalError(f"{shortened(url)}: {reason}") from error
    except BimodalError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # each store's client raises classes of its own
        told = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(f"{shortened(url)}: cannot be read ({shortened(told)})") from error


@contextmanager
def opened(url: str) -> Iterator[IO[bytes]]:
    """A file of this machine or of a store, to be read.

    Args:
        url: Absolute path, or URL.

    Raises:
        BimodalError: There is no such file.
        StoreError: The store does not answer.
    """
    with asking(url):
        if not is_url(url):
            with Path(url).open("rb") as plain:
                yield plain
            return
        store, path = open_store(url)
        with store.open(path, "rb") as stream:
            yield stream
