"""Who can reach a server, and with what."""

import pytest

from bimodal.errors import BimodalError
from bimodal.service.server import choose_token, listen

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "localhost.evil.example"])
def test_other_machines_need_a_token(host):
    tokens = {choose_token(host, "") for _ in range(3)}
    assert len(tokens) == 3 and min(map(len, tokens)) >= 20
    assert choose_token(host, "mine") == "mine"


def test_this_machine_alone_needs_none():
    assert choose_token("127.0.0.1", "") == choose_token("localhost", "") == choose_token("::1", "") == ""


def test_a_port_that_is_taken_is_one_sentence():
    with listen("127.0.0.1", 0) as first:
        first.listen()
        with pytest.raises(BimodalError, match="choose another --port"):
            listen("127.0.0.1", first.getsockname()[1])
