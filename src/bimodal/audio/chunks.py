"""Where the samples of an uncompressed file lie (WAV, RF64, AIFF, AU, CAF, W64), whatever its sizes say.

Programs write a size before they know it, count the header in, forget a byte of padding, or are stopped half-way. Here
the chunks are walked as they are. A WAV whose header does not fit its samples gets one that does.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, Literal

_MOST_CHUNKS: Final = 10_000
_UNKNOWN: Final = (0x80000000, 0xFFFFFFFF)  # near these sizes, a program did not know the length
_LONGEST_FILE: Final = 1 << 43  # bytes; file systems refuse to seek much further
_NEAR: Final = 0x10000
_LARGEST: Final = 0xFFFFFFFF
_HEAD_BYTES: Final = 64
_WITHOUT_BITS: Final = 14  # bytes of a chunk `fmt ` as the first version of WAV had it

Region = tuple[int, int]
"""First byte and number of bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where the samples of a file lie.

    Attributes:
        regions: First byte and length of each part of the samples; empty where this is not known.
        head: A header for these samples; empty where that of the file is right.
        promised: Bytes of samples that the header promises; 0 where it does not say.
    """

    regions: tuple[Region, ...] = ()
    head: bytes = b""
    promised: int = 0

    @property
    def present(self) -> int:
        """Bytes of samples that there are."""
        return sum(length for _, length in self.regions)

    @property
    def missing(self) -> float:
        """Share of the promised samples that is missing, 0 to 1."""
        return max(0.0, 1.0 - self.present / self.promised) if self.promised else 0.0


def read_layout(stream: IO[bytes], size: int) -> Layout:
    """Where the samples lie; a layout without regions for formats that are not made of chunks.

    Args:
        stream: The file.
        size: Its length in bytes.

    Example:
        >>> import io
        >>> head = b"RIFF" + struct.pack("<I", 44) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
        >>> cut = head + b"data" + struct.pack("<I", 8) + bytes(6)
        >>> found = read_layout(io.BytesIO(cut), len(cut))
        >>> found.regions, found.promised, found.missing
        (((44, 6),), 8, 0.25)
    """
    begin = skip_id3(stream)
    head = _read(stream, begin, 16)
    if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE":
        return _wav(stream, begin, size, "big" if head[:4] == b"RIFX" else "little")
    if head[:4] == b"FORM":
        return _first(stream, size, (b"SSND", b"BODY"), 12, "big")
    if head[:4] == b".snd" and len(head) >= 12:
        first, length = struct.unpack(">II", head[4:12])
        return _fitting(first, 0 if length == _LARGEST else length, size)
    if head[:4] == b"caff":
        return _caf(stream, size)
    if head == b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00":
        return _w64(stream, size)
    return Layout()


def skip_id3(stream: IO[bytes]) -> int:
    """Number of bytes of the ID3v2 tags in front of a file.

    Example:
        >>> import io
        >>> skip_id3(io.BytesIO(b"ID3" + bytes([3, 0, 0, 0, 0, 1, 2]) + bytes(200)))
        140
    """
    begin = 0
    for _ in range(_MOST_CHUNKS):
        tag = _read(stream, begin, 10)
        if len(tag) < 10 or tag[:3] != b"ID3" or max(tag[6:]) > 127:
            break
        begin += 10 + sum(byte << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
    return begin


def _wav(stream: IO[bytes], begin: int, size: int, order: Literal["little", "big"]) -> Layout:
    """All data chunks of a WAV, and of WAVs of one kind that were joined to it."""
    regions: list[Region] = []
    form, long_size, promised, right = b"", 0, 0, begin == 0
    for name, first, length, padded in _riff_chunks(stream, begin, size, order):
        right &= padded
        if name == b"fmt ":
            found = _read(stream, first, min(length, 1024))
            if len(found) == _WITHOUT_BITS:
                found, right = _with_bits(found, order), False
            if form and found != form:
                break
            form = found
        elif name == b"ds64":
            long_size = struct.unpack("<Q", _read(stream, first + 8, 8).ljust(8, b"\0"))[0]
        elif name == b"data":
            told = long_size if length == _LARGEST and long_size else length
            known = told == long_size or not _is_unknown(told)
            right &= not regions and 0 < told <= size - first
            regions.append((first, min(told if known and told else size - first, size - first)))
            promised += told if known else 0
            long_size = 0
        else:
            right &= name not in (b"RIFF", b"RF64", b"RIFX")
    if not form:
        return Layout()
    kept = tuple(region for region in regions if region[1])
    layout = Layout(regions=kept, promised=promised)
    head = b"" if right else _wav_head(form, layout.present, order)
    return Layout(regions=kept, promised=promised, head=head)


def _with_bits(form: bytes, order: Literal["little", "big"]) -> bytes:
    """A chunk `fmt ` that leaves out the bits of a sample, with those that follow from its other values."""
    channels, block = (int.from_bytes(form[at : at + 2], order) for at in (2, 12))
    return form + (8 * block // max(1, channels) & 0xFFFF).to_bytes(2, order)


def _riff_chunks(
    stream: IO[bytes], begin: int, size: int, order: Literal["little", "big"]
) -> Iterator[tuple[bytes, int, int, bool]]:
    """Name, first byte and length of each chunk, and whether it stands where the padding before it ends."""
    at, odd, padded = begin + 12, False, True
    for _ in range(_MOST_CHUNKS):
        head = _read(stream, at, 12)
        if odd and _read(stream, at - 1, 4) in (b"data", b"fmt "):  # a byte of padding was forgotten
            at, padded = at - 1, False
            head = _read(stream, at, 12)
        if len(head) < 8 or not _is_name(head[:4]):
            return
        if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:] == b"WAVE":  # another file, joined to this one
            yield head[:4], at, 0, padded
            at, odd = at + 12, False
            continue
        first, length = at + 8, int.from_bytes(head[4:8], order)
        if head[:4] == b"data" and length == 0 and not _is_chunk(stream, first, size, order):
            yield b"data", first, 0, padded
            return
        if head[:4] == b"data" and length == 0:
            at, odd = first, False
            continue
        yield head[:4], first, length, padded
        at, odd = first + length + length % 2, bool(length % 2)


def _is_chunk(stream: IO[bytes], at: int, size: int, order: Literal["little", "big"]) -> bool:
    """Whether a chunk that fits the file begins here, or the file ends."""
    head = _read(stream, at, 8)
    return at >= size or (len(head) == 8 and _is_name(head[:4]) and at + int.from_bytes(head[4:], order) <= size)


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= letter < 127 for letter in name)


def _is_unknown(length: int) -> bool:
    return any(abs(length - value) <= _NEAR for value in _UNKNOWN)


def _wav_head(form: bytes, length: int, order: Literal["little", "big"]) -> bytes:
    """The header of a WAV with one data chunk of so many bytes; RF64 where they are many."""
    sign = "<" if order == "little" else ">"
    described = b"fmt " + struct.pack(f"{sign}I", len(form)) + form + b"\0" * (len(form) % 2)
    if length + len(described) + _HEAD_BYTES <= _LARGEST:
        magic = b"RIFF" if order == "little" else b"RIFX"
        outer = magic + struct.pack(f"{sign}I", 12 + len(described) + length) + b"WAVE"
        return outer + described + b"data" + struct.pack(f"{sign}I", length)
    long = b"ds64" + struct.pack("<IQQQI", 28, length + len(described) + 48, length, 0, 0)
    return b"RF64\xff\xff\xff\xffWAVE" + long + described + b"data\xff\xff\xff\xff"


def _first(stream: IO[bytes], size: int, wanted: tuple[bytes, ...], at: int, order: Literal["little", "big"]) -> Layout:
    """The first chunk of these names, of chunks with sizes of four bytes."""
    for _ in range(_MOST_CHUNKS):
        head = _read(stream, at, 8)
        if len(head) < 8:
            break
        length = int.from_bytes(head[4:], order)
        if head[:4] in wanted:
            return _fitting(at + 8, 0 if _is_unknown(length) else length, size)
        at += 8 + length + length % 2
    return Layout()


def _caf(stream: IO[bytes], size: int) -> Layout:
    at = 8
    for _ in range(_MOST_CHUNKS):
        head = _read(stream, at, 12)
        if len(head) < 12:
            break
        length = struct.unpack(">q", head[4:])[0]
        if head[:4] == b"data" or length < 0:
            return _fitting(at + 12, max(0, length), size)
        at += 12 + length
    return Layout()


def _w64(stream: IO[bytes], size: int) -> Layout:
    at = 40
    for _ in range(_MOST_CHUNKS):
        head = _read(stream, at, 24)
        length = struct.unpack("<Q", head[16:])[0] if len(head) == 24 else 0
        if length < 24:
            break
        if head[:4] == b"data":
            return _fitting(at + 24, length - 24, size)
        at += (length + 7) // 8 * 8
    return Layout()


def _fitting(first: int, length: int, size: int) -> Layout:
    """One region of a promised length, of which the file holds what it holds."""
    return Layout(regions=((first, min(length or size, max(0, size - first))),), promised=length)


def _read(stream: IO[bytes], at: int, count: int) -> bytes:
    """Bytes at a place; none where no file reaches, however far a damaged length leads."""
    if not 0 <= at < _LONGEST_FILE:
        return b""
    stream.seek(at)
    return stream.read(count)


class Pieces:
    """A header and parts of a file as one file that can be read and sought in.

    Args:
        stream: The file.
        layout: The header and the parts.

    Example:
        >>> import io
        >>> pieces = Pieces(io.BytesIO(b"..abc..def"), Layout(head=b"H", regions=((2, 3), (7, 3))))
        >>> pieces.read(3), pieces.seek(-4, 2), pieces.read(), pieces.tell()
        (b'Hab', 3, b'cdef', 7)
    """

    def __init__(self, stream: IO[bytes], layout: Layout) -> None:
        self._stream, self._head, self._regions, self._at = stream, layout.head, layout.regions, 0
        self._size = len(layout.head) + layout.present

    def seekable(self) -> bool:
        """Always true."""
        return True

    def tell(self) -> int:
        """Where it stands."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Stand elsewhere."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def read(self, count: int = -1) -> bytes:
        """The next bytes."""
        parts, wanted = [], self._size - self._at if count < 0 else count
        while wanted > 0 and (part := self._part(wanted)):
            parts.append(part)
            self._at += len(part)
            wanted -= len(part)
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        """The next bytes, into a buffer."""
        view = memoryview(buffer).cast("B")
        read = self.read(len(view))
        view[: len(read)] = read
        return len(read)

    def _part(self, wanted: int) -> bytes:
        """Bytes from where it stands to the end of the header or of a region at most."""
        left = self._at
        if left < len(self._head):
            return self._head[left : left + wanted]
        left -= len(self._head)
        for first, length in self._regions:
            if left < length:
                return _read(self._stream, first + left, min(wanted, length - left))
            left -= length
        return b""
