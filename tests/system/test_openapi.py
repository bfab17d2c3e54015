"""The OpenAPI document, and a search for requests that break what it promises."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from bimodal.service.problems import TITLES

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture(scope="session")
def promised(served):
    """The document as the running server tells it; outside a test no socket is allowed, so a test comes first."""
    return schemathesis.openapi.from_url(f"{served.url}v1/openapi.json")


def test_the_document_is_complete(http):
    document = http.get("/v1/openapi.json").json()
    assert {path for path in document["paths"] if path.startswith("/v1")} == {
        "/v1/recognize", "/v1/jobs", "/v1/jobs/{name}", "/v1/jobs/{name}/events", "/v1/jobs/{name}/results",
        "/v1/audio/transcriptions", "/v1/embeddings", "/v1/export", "/v1/summary", "/v1/models", "/v1/about",
    }  # fmt: skip
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], f"{method} {path} says not what it does"
            for status, answer in operation["responses"].items():
                if status >= "400":
                    (content,) = answer["content"].values()
                    told = content["example"].get("status") or TITLES[content["example"]["error"]["code"]][0]
                    assert told == int(status), f"{method} {path} {status}"
    recognize = document["paths"]["/v1/recognize"]["post"]
    assert recognize["requestBody"]["content"]["multipart/form-data"]["example"]
    assert recognize["responses"]["200"]["content"]["application/json"]["example"]["emotion"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
OPERATIONS = [
    ("/v1/recognize", "POST"), ("/v1/jobs", "POST"), ("/v1/jobs/{name}", "GET"), ("/v1/jobs/{name}", "DELETE"),
    ("/v1/jobs/{name}/events", "GET"), ("/v1/jobs/{name}/results", "GET"), ("/v1/export", "POST"),
    ("/v1/summary", "POST"), ("/v1/audio/transcriptions", "POST"), ("/v1/embeddings", "POST"),
    ("/v1/models", "GET"), ("/v1/about", "GET"), ("/healthz", "GET"), ("/readyz", "GET"), ("/metrics", "GET"),
]  # fmt: skip


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "forbidden"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_request_breaks_what_the_document_promises(promised, path, method, mode):
    @given(case=promised[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def ask(case):
        case.call_and_validate(checks=CHECKS)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # nothing that could be wrong
