"""Forms that clients send: multipart, few parts, one recording."""

import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Any, Final, Literal, get_args

import msgspec
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from bimodal.errors import tell
from bimodal.records import MOST_SPEAKERS
from bimodal.service.limits import Limits
from bimodal.service.problems import Problem

_TRUE: Final = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}

RENAMED: Final = {"text": "transcript", "text_confidence": "transcript_confidence"}
"""Fields that earlier versions had, and their new names."""


def renamed_field(names: Iterable[str]) -> str | None:
    """The sentence that names the new name of an old field; None if there is no old one.

    Example:
        >>> renamed_field(["audio", "text"])
        'the field text is now called transcript'
        >>> renamed_field(["audio", "transcript"])
    """
    old = next((name for name in names if name in RENAMED), None)
    return None if old is None else f"the field {old} is now called {RENAMED[old]}"


@dataclass(frozen=True, kw_only=True)
class Form:
    """Content of a form.

    Attributes:
        audio: The recording, or None.
        name: File name of the recording.
        values: The other fields.
    """

    audio: IO[bytes] | None
    name: str
    values: dict[str, str]

    def text(self, name: str) -> str | None:
        """A field; None if it is missing or empty."""
        return self.values.get(name) or None

    def number(self, name: str, low: float = 0.0, high: float = math.inf) -> float | None:
        """A number; None if it is missing.

        Raises:
            Problem: The field is not a number, or out of range.
        """
        given = self.text(name)
        if given is None:
            return None
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if not low <= value <= high or math.isinf(value):
            limits = f"from {low:g} to {high:g}" if high < math.inf else f"of at least {low:g}"
            raise Problem("unusable", f"{name}: expected a number {limits}")
        return value

    def coverage(self) -> float | None:
        """The field `coverage`; None if it is missing.

        Raises:
            Problem: Not a number above 0 and below 1.
        """
        given = self.text("coverage")
        if given is None:
            return None
        value = self.number("coverage", 0.0, 1.0)
        if value in (0.0, 1.0):
            raise Problem("unusable", f"coverage is {given}, expected a number above 0 and below 1, such as 0.9")
        return value

    def speakers(self) -> "int | Literal['auto'] | None":
        """How many speakers to find; None if the field is missing.

        Raises:
            Problem: Neither `auto` nor a number of speakers.
        """
        given = self.text("speakers")
        if given is None or given == "auto":
            return "auto" if given else None
        if not (given.isdecimal() and given.isascii() and 1 <= int(given) <= MOST_SPEAKERS):
            raise Problem("unusable", f"speakers: expected auto, or a number from 1 to {MOST_SPEAKERS}")
        return int(given)

    def flag(self, name: str) -> bool:
        """True or false; false if it is missing.

        Raises:
            Problem: The field is neither.
        """
        given = (self.text(name) or "false").lower()
        if given not in _TRUE:
            raise Problem("unusable", f"{name}: expected true or false")
        return _TRUE[given]

    def choice(self, name: str, kind: Any) -> Any:
        """One of the values of a `Literal`; the first if the field is missing.

        Raises:
            Problem: The field has another value, such as an empty one.
        """
        allowed = get_args(kind)
        given = self.values.get(name, allowed[0])
        if given not in allowed:
            raise Problem("unusable", f"{name}: expected one of {', '.join(allowed)}")
        return given

    def json(self, name: str, empty: Any) -> Any:
        """A field that holds JSON; `empty` if it is missing.

        Raises:
            Problem: The field is not valid JSON.
        """
        given = self.text(name)
        try:
            return empty if given is None else msgspec.json.decode(given)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Problem("unusable", f"{name}: expected JSON") from error


@asynccontextmanager
async def read_form(
    request: Request, limits: Limits, known: tuple[str, ...], *, file: str = "audio"
) -> AsyncIterator[Form]:
    """The form of a request; the recording is closed afterwards.

    Args:
        request: With a multipart form.
        limits: Limits of the server.
        known: Names of the fields that the form may have.
        file: Name of the field with the recording.

    Raises:
        Problem: Not a multipart form, too many parts, or unknown fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise Problem(
            "unsupported-media-type", f"send a form as multipart/form-data with the fields {file} and {known[0]}"
        )
    longest = 4 * limits.text_characters + 1024
    try:
        form = await request.form(max_files=1, max_fields=limits.parts, max_part_size=longest)
    except HTTPException as error:
        kind = "too-large" if "maximum" in error.detail.lower() or "Too many" in error.detail else "bad-request"
        raise Problem(kind, f"the form cannot be read: {error.detail}") from error
    try:
        yield _checked(form, limits, known, file)
    finally:
        await form.close()


def _checked(form: FormData, limits: Limits, known: tuple[str, ...], file: str) -> Form:
    upload: UploadFile | None = None
    values: dict[str, str] = {}
    if told := renamed_field(form):
        raise Problem("unusable", told)
    for name, value in form.multi_items():
        if name not in (*known, file) or name in values:
            raise Problem("unusable", f"the form has an unknown or repeated field; expected {file}, {', '.join(known)}")
        if isinstance(value, UploadFile):
            if name != file or upload is not None:
                raise Problem(
                    "unusable",
                    f"the form has a file in another field than {file}, or several files; send one file as {file}",
                )
            upload = value
        elif name == file:
            raise Problem("unusable", f"{file}: expected a file; give its part of the form a file name")
        else:
            values[name] = value
    if len(values.get("transcript", "")) > limits.text_characters:
        raise Problem("too-large", f"transcript has more than {limits.text_characters} characters")
    return Form(audio=_file(upload, file), name=(upload and upload.filename) or "recording", values=values)


def _file(upload: UploadFile | None, name: str) -> IO[bytes] | None:
    """The uploaded file with its own descriptor."""
    if upload is None:
        return None
    if not upload.size:
        raise Problem("unusable", tell("file-empty", name=name))
    upload.file.fileno()  # writes a small one to an unnamed temporary file
    upload.file.flush()
    return upload.file
