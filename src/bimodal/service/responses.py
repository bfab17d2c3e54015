"""Responses that several routes give: a record as JSON, results in an output format."""

import io
from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import Response

from bimodal.errors import BimodalError
from bimodal.output.formats import FORMATS, write_recognitions
from bimodal.records import Recognition
from bimodal.service.problems import Problem
from bimodal.service.schemas import Format


def json_response(record: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A record as JSON, written as on the command line."""
    return Response(msgspec.json.encode(record), status, headers, "application/json")


def written(results: Sequence[Recognition], form: Format, recording: str) -> Response:
    """Results in one of `FORMATS`.

    Raises:
        Problem: The format needs times that the results do not have.
    """
    stream = io.StringIO(newline="")
    try:
        write_recognitions(results, stream, form, recording=recording)
    except BimodalError as error:
        raise Problem("unusable", str(error)) from error
    return Response(stream.getvalue(), media_type=FORMATS[form].media_type)
