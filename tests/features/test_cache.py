"""The cache keeps what was written, whatever happens to the processes that write it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from bimodal.errors import CacheError
from bimodal.features.cache import FeatureCache, cache_key

MEGABYTE = 1 << 20


def arrays(seed: int, size: int = 100) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "mean": rng.normal(size=(size, 3)).astype(np.float16),
        "count": rng.integers(0, 9, size).astype(np.int32),
        "empty": np.zeros((0, 4), np.float32),
    }


def assert_holds(cache: FeatureCache, seed: int, size: int = 100) -> None:
    found, expected = cache.read(f"key{seed}"), arrays(seed, size)
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


def run(script: str, *arguments: object) -> subprocess.Popen:
    """A real process with the helpers of this file at hand."""
    prelude = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from test_cache import *\n"
    command = [sys.executable, "-c", prelude + textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> str:
    out, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    return out.strip()


def test_what_was_written_is_read_before_and_after_the_flush_and_by_another_opener(tmp_path):
    with FeatureCache(tmp_path / "new" / "cache") as cache:
        for seed in range(5):
            cache.write(f"key{seed}", arrays(seed))
            assert_holds(cache, seed)
    assert_holds(cache, 4)
    again = FeatureCache(tmp_path / "new" / "cache")
    for seed in range(5):
        assert_holds(again, seed)
    assert len(again) == 5
    assert "key0" in again
    assert "key5" not in again
    with pytest.raises(KeyError):
        again.read("key5")


def test_views_that_are_not_contiguous_are_kept_as_they_look(tmp_path):
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    with FeatureCache(tmp_path) as cache:
        cache.write("key", {"turned": array.T, "sliced": array[::2, 1::2], "one": array[:, 0]})
    found = FeatureCache(tmp_path).read("key")
    assert np.array_equal(found["turned"], array.T)
    assert np.array_equal(found["sliced"], array[::2, 1::2])
    assert np.array_equal(found["one"], array[:, 0])


def test_a_full_shard_is_written_at_once_and_the_size_is_that_of_the_files(tmp_path):
    cache = FeatureCache(tmp_path, shard_bytes=2000)
    for seed in range(7):
        cache.write(f"key{seed}", arrays(seed))  # 1000 bytes each
    shards = list(tmp_path.glob("*.safetensors"))
    assert len(shards) == 3
    assert len(cache) == 7
    assert cache.size == sum(shard.stat().st_size for shard in shards)
    cache.flush()
    cache.flush()
    assert len(list(tmp_path.iterdir())) == 4


def test_what_failed_in_between_keeps_what_was_done(tmp_path):
    with pytest.raises(RuntimeError, match="in between"), FeatureCache(tmp_path) as cache:
        cache.write("key0", arrays(0))
        raise RuntimeError("in between")
    assert_holds(FeatureCache(tmp_path), 0)


WRITER = """
    cache = FeatureCache(sys.argv[1], shard_bytes=2000)
    own = [int(seed) for seed in sys.argv[2].split(",")]
    print("ready", flush=True)
    for seed in own:
        cache.refresh()
        cache.write(f"key{seed}", arrays(seed))
        time.sleep(0.002)
    cache.flush()
"""


def test_two_processes_write_one_cache_at_once(tmp_path):
    writers = [run(WRITER, tmp_path, ",".join(map(str, seeds))) for seeds in (range(40), range(20, 60))]
    for writer in writers:
        assert finish(writer) == "ready"
    cache = FeatureCache(tmp_path)
    assert len(cache) == 60
    for seed in range(60):
        assert_holds(cache, seed)
    assert not list(tmp_path.glob(".*.tmp"))


def test_an_open_cache_sees_what_others_write_after_a_refresh(tmp_path):
    reader, writer = FeatureCache(tmp_path), FeatureCache(tmp_path)
    writer.write("key0", arrays(0))
    writer.flush()
    assert "key0" not in reader
    reader.refresh()
    assert_holds(reader, 0)


KILLED = """
    cache = FeatureCache(sys.argv[1], shard_bytes=20 * MEGABYTE)
    for seed in range(10_000):
        cache.write(f"key{seed}", arrays(seed, MEGABYTE))
        print(seed, flush=True)
"""


def test_a_killed_process_loses_only_the_shard_it_had_not_finished(tmp_path):
    writer = run(KILLED, tmp_path)
    while len(list(tmp_path.glob("*.safetensors"))) < 2:
        writer.stdout.readline()
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob(".*.tmp")) and time.monotonic() < deadline:
        pass  # in the middle of the third shard
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate(timeout=20)
    cache = FeatureCache(tmp_path)
    assert len(cache) >= 4
    for seed in range(len(cache)):
        assert_holds(cache, seed, MEGABYTE)
    cache.write("key-new", arrays(1))
    cache.flush()
    assert "key-new" in FeatureCache(tmp_path)


def test_leftovers_of_a_killed_process_are_ignored_and_cleared(tmp_path):
    (tmp_path / ".0123.safetensors.77.tmp").write_bytes(b"half a shard")
    with FeatureCache(tmp_path) as cache:
        cache.write("key0", arrays(0))
    assert len(FeatureCache(tmp_path)) == 1
    size = cache.size
    assert cache.clear() == size + len(b"half a shard")
    assert list(tmp_path.iterdir()) == []
    assert (len(cache), "key0" in cache) == (0, False)


@pytest.mark.parametrize("damage", ["truncated", "header", "empty"])
def test_a_damaged_shard_is_named_with_what_to_do(tmp_path, damage):
    with FeatureCache(tmp_path) as cache:
        cache.write("key0", arrays(0))
    (shard,) = tmp_path.iterdir()
    content = shard.read_bytes()
    shard.write_bytes({"truncated": content[:-10], "header": b"\xff" * 8 + content[8:], "empty": b""}[damage])
    with pytest.raises(CacheError, match=f"{shard}: damaged .*delete this file"):
        FeatureCache(tmp_path)
    shard.unlink()
    assert len(FeatureCache(tmp_path)) == 0


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="cannot be made"):
        FeatureCache(tmp_path / "file" / "cache")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB; only root can mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root; the limit on a file's size is tested everywhere")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_sentence_and_earlier_entries_stay(small_disk):
    cache = FeatureCache(small_disk)
    cache.write("key0", arrays(0))
    cache.flush()
    cache.write("key1", arrays(1, 2 * MEGABYTE))
    with pytest.raises(CacheError, match=r"free some space .* 1 entries are kept"):
        cache.flush()
    assert_holds(cache, 0)
    assert len(list(small_disk.iterdir())) == 1
    cache.write("key2", arrays(2))
    cache.flush()
    assert_holds(FeatureCache(small_disk), 2)


FULL = """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, MEGABYTE))
    cache = FeatureCache(sys.argv[1])
    cache.write("key0", arrays(0))
    cache.flush()
    try:
        with cache:
            cache.write("key1", arrays(1, 2 * MEGABYTE))
    except CacheError as error:
        print(error)
    assert_holds(cache, 0)
"""


def test_a_shard_larger_than_files_may_be_is_one_sentence_and_earlier_entries_stay(tmp_path):
    sentence = finish(run(FULL, tmp_path))
    assert sentence.startswith(f"{tmp_path}: cannot write a shard of 1 entries")
    assert "\n" not in sentence
    assert len(list(tmp_path.iterdir())) == 1
    assert_holds(FeatureCache(tmp_path), 0)


FLAT = """
    def own_memory():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) // 1024
    FeatureCache(sys.argv[2]).read("key0")
    before = own_memory()
    cache = FeatureCache(sys.argv[1])
    cache.read("key1")
    opened = own_memory()
    for number in range(60):
        cache.read(f"key{number}")
    print(opened - before, own_memory() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_reading_does_not_load_the_shards(tmp_path):
    with FeatureCache(tmp_path / "small") as small:
        small.write("key0", arrays(0))
    with FeatureCache(tmp_path / "large") as large:
        for number in range(60):
            large.write(f"key{number}", {"mean": np.full((MEGABYTE,), number, np.uint8)})
    opened, read = map(int, finish(run(FLAT, tmp_path / "large", tmp_path / "small")).split())
    assert opened < 8
    assert read < 8


def test_keys_tell_apart_all_that_decides_a_value():
    parts = [("a", "b"), ("ab",), ("a", None), ("a", "None"), ("a", 0.0), ("a", 0), ("a", "0")]
    assert len({cache_key(*each) for each in parts}) == len(parts)
    assert cache_key("a", 1.5) == cache_key("a", 1.5)


def test_what_a_source_gave_is_forgotten_in_every_shard_and_the_rest_stays(tmp_path):
    first, second = FeatureCache(tmp_path), FeatureCache(tmp_path)
    for cache in (first, second):  # two processes compute the same
        with cache:
            cache.write("key0", arrays(0), "secret")
            cache.write("key1", arrays(1), "other")
            cache.write("key2", arrays(2))
    with second:
        second.write("key3", arrays(3), "secret")
    cache = FeatureCache(tmp_path)
    before = cache.size
    entries, freed = cache.forget({"secret", "unknown"})
    assert entries == 2
    for again in (cache, FeatureCache(tmp_path)):
        assert freed == before - again.size > 0
        assert "key0" not in again and "key3" not in again and len(again) == 2
        assert_holds(again, 1)
        assert_holds(again, 2)
        assert again.unnamed == 1
        assert again.forget({"secret"}) == (0, 0)
    assert len(list(tmp_path.iterdir())) == 2
    assert not any(b"secret" in file.read_bytes() for file in tmp_path.iterdir())


def test_a_cache_without_a_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with FeatureCache(None, shard_bytes=10) as cache:
        cache.write("key0", arrays(0), "source")
        assert_holds(cache, 0)
    assert_holds(cache, 0)
    assert len(cache) == 1 and cache.size == 0 and cache.forget({"source"}) == (0, 0)
    assert list(tmp_path.iterdir()) == []
    assert cache.clear() == 0 and len(cache) == 0
