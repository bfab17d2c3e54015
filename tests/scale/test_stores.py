"""A real S3 store on this machine: folders, patterns, manifests, archives and Parquet in it; a store that is away."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.scale.runs import bulk, rows
from tests.scale.test_archives import pack

moto = pytest.importorskip("moto.server")
SIZES = ("--workers", "1", "-q")


@pytest.fixture(scope="module")
def files(clips: Path) -> list[Path]:
    return sorted(clips.glob("s*.wav"))[:3]


@pytest.fixture(scope="module")
def store(files, tmp_path_factory) -> dict[str, str]:
    """A bucket with recordings, a manifest, an archive and Parquet with bytes; the environment that leads to it."""
    import boto3

    server = moto.ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    place = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=place, aws_access_key_id="id", aws_secret_access_key="key", region_name="us-east-1"
    )
    client.create_bucket(Bucket="calls")
    folder = tmp_path_factory.mktemp("store")
    pack(folder / "a.tar", {f"{number}.wav": file.read_bytes() for number, file in enumerate(files)})
    parquet.write_table(pa.table({"audio": [file.read_bytes() for file in files]}), folder / "held.parquet")
    (folder / "m.csv").write_text("path\n" + "\n".join(f"s3://calls/day/{file.name}" for file in files))
    for file in files:
        client.upload_file(str(file), "calls", f"day/{file.name}")
    for file in folder.iterdir():
        client.upload_file(str(file), "calls", f"lists/{file.name}")
    yield {"FSSPEC_S3_ENDPOINT_URL": place, "FSSPEC_S3_KEY": "id", "FSSPEC_S3_SECRET": "key"}
    server.stop()


pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def test_all_kinds_of_sources_in_a_store_give_the_same_results(store, files, tmp_path):
    sources = ["s3://calls/day", "s3://calls/lists/*.tar", "s3://calls/lists/m.csv", "s3://calls/lists/held.parquet"]
    bulk(*sources, "--root", "s3://calls", "--out", tmp_path / "out", *SIZES, environment=store)
    found, whole = rows(tmp_path / "out"), len(files)
    assert len(found) == 4 * whole and rows(tmp_path / "out", "failures") == []
    for first in range(whole):
        assert len({(row["emotion"], round(row["anger"], 5)) for row in found[first::whole]}) == 1
    assert [row["path"] for row in found[::whole]] == [
        f"s3://calls/day/{files[0].name}",
        "s3://calls/lists/a.tar/0.wav",
        f"s3://calls/day/{files[0].name}",
        "s3://calls/lists/held.parquet#1",
    ]


def test_a_store_that_is_away_is_told(tmp_path):
    away = {"FSSPEC_S3_ENDPOINT_URL": "http://127.0.0.1:9", "FSSPEC_S3_KEY": "id", "FSSPEC_S3_SECRET": "key"}
    told = bulk("s3://calls/day", "--out", tmp_path / "out", *SIZES, code=1, environment=away)
    assert told.splitlines()[-1].startswith("bimodal: s3://calls/day: cannot be read (Could not connect")
