"""Whether a file stops in the middle of its data, by what its format tells of the length of each part."""

import struct
from collections.abc import Callable, Mapping
from typing import IO, Final

from bimodal.audio.chunks import Region, read_layout

_EBML_CONTAINERS: Final = (0x18538067, 0x1F43B675)  # Segment, Cluster
_MOST_PARTS: Final = 50_000_000
_TRANSPORT_PACKET: Final = 188
_ATOMS: Final = frozenset({
    b"ftyp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"uuid", b"sidx", b"mfra", b"meta", b"styp", b"pnot",
})  # fmt: skip
_TAIL: Final = 1 << 18
_LONGEST_FILE: Final = 1 << 60
_ASF_OBJECTS: Final = (b"0&\xb2u\x8ef\xcf\x11", b"6&\xb2u\x8ef\xcf\x11")  # header, data
_VOC_END: Final = 0
_START_CODE: Final = 4  # bytes


def ends_early(stream: IO[bytes], size: int, kind: str) -> bool:
    """Whether a file of this kind stops in the middle of its data; False for kinds that do not tell.

    Args:
        stream: The file.
        size: Its length in bytes.
        kind: As `container_kind` or `fallback_kind` names it.

    Example:
        >>> import io
        >>> atom = struct.pack(">I4s", 108, b"mdat") + bytes(100)
        >>> ends_early(io.BytesIO(atom), 108, "mov"), ends_early(io.BytesIO(atom), 100, "mov")
        (False, True)
    """
    if kind in _ENDS:
        return _ENDS[kind](stream, size)
    return kind in ("wav", "w64", "aiff", "au", "caf") and read_layout(stream, size).missing > 0


def _ogg(stream: IO[bytes], size: int) -> bool:
    """Whether the last page is not whole, or not marked as the last one of its stream."""
    tail = min(size, 2 * 65_307)  # a page is at most this long (RFC 3533)
    data = _read(stream, size - tail, tail)
    at = data.rfind(b"OggS")
    if at < 0 or len(data) < at + 27:
        return True
    table = data[at + 27 : at + 27 + data[at + 26]]
    whole = len(table) == data[at + 26] and at + 27 + len(table) + sum(table) <= len(data)
    return not whole or not data[at + 5] & 4


def _matroska(stream: IO[bytes], size: int) -> bool:
    """Whether an element is longer than the file. What is in a container follows it, whatever its size (RFC 8794)."""
    at = end = 0
    for _ in range(_MOST_PARTS):
        if at >= size:
            break
        head = _read(stream, at, 12)
        name, length = _element(head)
        if not name:
            return len(head) < 12  # the file ends within the head of an element
        first = at + name + length[0]
        known = length[1] != (1 << 7 * length[0]) - 1
        inside = int.from_bytes(head[:name], "big") in _EBML_CONTAINERS
        end = max(end, first + length[1] if known else 0)
        at = first if inside else first + length[1]
    return end > size


def _element(head: bytes) -> tuple[int, tuple[int, int]]:
    """Bytes of the name of an EBML element, bytes of its size, and its size; 0 where none begins with these bytes."""
    if not head or not head[0]:
        return 0, (0, 0)
    name = 9 - head[0].bit_length()
    if name > 4 or len(head) <= name or not head[name]:
        return 0, (0, 0)
    width = 9 - head[name].bit_length()
    if len(head) < name + width:
        return 0, (0, 0)
    return name, (width, int.from_bytes(head[name : name + width], "big") & ((1 << 7 * width) - 1))


def _mov(stream: IO[bytes], size: int) -> bool:
    """Whether an atom is longer than the file (ISO/IEC 14496-12); 0 is the size of one that lasts to the end."""
    at = 0
    for _ in range(_MOST_PARTS):
        head = _read(stream, at, 16)
        if len(head) < 8 or head[4:8] not in _ATOMS:
            break
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length == 0 or at + length > size:
            return length > 0
        at += max(8, length)
    return False


def _asf(stream: IO[bytes], size: int) -> bool:
    """Whether the header or the data is longer than the file; a stream that is live says 0 or nearly so."""
    at = 0
    while len(head := _read(stream, at, 24)) == 24 and head[:8] in _ASF_OBJECTS:
        at += max(24, int.from_bytes(head[16:], "little"))
    return at > size


def _avi(stream: IO[bytes], size: int) -> bool:
    """Whether a RIFF list is longer than the file; a long AVI has several."""
    at = 0
    while (head := _read(stream, at, 8))[:4] == b"RIFF" and len(head) == 8:
        at += 8 + int.from_bytes(head[4:], "little")
    return at > size


def _flv(stream: IO[bytes], size: int) -> bool:
    """Whether the last tag is longer than the file. Each is followed by its length."""
    at = int.from_bytes(_read(stream, 5, 4), "big") + 4
    for _ in range(_MOST_PARTS):
        head = _read(stream, at, 4)
        if len(head) < 4:
            break
        at += 11 + int.from_bytes(head[1:], "big") + 4
    return at > size


def _transport_stream(_: IO[bytes], size: int) -> bool:
    """Whether the last packet is not whole; all have one length (ISO/IEC 13818-1)."""
    return size % _TRANSPORT_PACKET != 0


def _program_stream(stream: IO[bytes], size: int) -> bool:
    """Whether the last packet is longer than the file, from the last pack on (ISO/IEC 13818-1)."""
    begin = max(0, size - _TAIL)
    data = _read(stream, begin, _TAIL)
    at = data.rfind(b"\x00\x00\x01\xba")
    if at < 0 or len(data) < at + 14:
        return True
    at += 14 + (data[at + 13] & 7) if data[at + 4] >> 6 == 1 else 12  # MPEG-2, MPEG-1
    while data[at : at + 3] == b"\x00\x00\x01" and data[at + 3 : at + 4] not in (b"\xb9", b""):
        at += 6 + int.from_bytes(data[at + 4 : at + 6], "big")
    return at > len(data) or 0 < len(data) - at < _START_CODE


def _voc(stream: IO[bytes], size: int) -> bool:
    """Whether the last block is longer than the file. Its length is of three bytes, the least first."""
    at = int.from_bytes(_read(stream, 20, 2), "little")
    for _ in range(_MOST_PARTS):
        head = _read(stream, at, 4)
        if not head or head[0] == _VOC_END:
            return False
        at += 4 + int.from_bytes(head[1:], "little")
        if at > size or len(head) < 4:
            return True
    return False


_ENDS: Final[Mapping[str, Callable[[IO[bytes], int], bool]]] = {
    "asf": _asf,
    "avi": _avi,
    "flv": _flv,
    "matroska": _matroska,
    "mov": _mov,
    "mpeg": _program_stream,
    "mpegts": _transport_stream,
    "ogg": _ogg,
    "voc": _voc,
}


def promised_by_header(stream: IO[bytes], form: str) -> Region:
    r"""First byte and length of the samples of a file of a rare format, by its header; 0 where it does not tell.

    Args:
        stream: The file.
        form: Its format, as libsndfile names it.

    Example:
        >>> import io
        >>> head = b"NIST_1A\n   1024\nchannel_count -i 1\nsample_count -i 500\nsample_n_bytes -i 2\nend_head\n"
        >>> promised_by_header(io.BytesIO(head), "NIST")
        (1024, 1000)
    """
    return _PROMISES[form](stream) if form in _PROMISES else (0, 0)


def _nist(stream: IO[bytes]) -> Region:
    """NIST SPHERE: lines of names and values."""
    lines = _read(stream, 0, 1024).partition(b"end_head")[0].split(b"\n")
    told = {parts[0]: parts[-1] for line in lines[2:] if len(parts := line.split()) == 3}
    numbers = [told.get(name, b"") for name in (b"channel_count", b"sample_count", b"sample_n_bytes")]
    if len(lines) < 2 or not all(map(bytes.isdigit, [lines[1].strip(), *numbers])):
        return 0, 0
    channels, count, width = map(int, numbers)
    return int(lines[1]), channels * count * width


def _avr(stream: IO[bytes]) -> Region:
    head = _read(stream, 0, 32)
    channels, bits, frames = 2 if head[12:14] == b"\xff\xff" else 1, *struct.unpack(">H10xI", head[14:30])
    return 128, int(frames * channels * (bits // 8))


def _mpc2k(stream: IO[bytes]) -> Region:
    head = _read(stream, 0, 42)
    return 42, int.from_bytes(head[30:34], "little") * 2 * (1 + head[21])


def _wve(stream: IO[bytes]) -> Region:
    return 32, int.from_bytes(_read(stream, 18, 4), "big")


def _mat4(stream: IO[bytes]) -> Region:
    """MATLAB 4: matrices, each behind a head of five numbers and its name. The samples are the last one."""
    at, length, widths = 0, 0, {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}
    while len(head := _read(stream, at + length, 20)) == 20:
        order = ">" if head[:2] == b"\0\0" and head[:4] != bytes(4) else "<"
        kind, rows, columns, _, name = struct.unpack(f"{order}5I", head)
        at, length = at + length + 20 + name, rows * columns * widths.get(kind // 10 % 10, 1)
    return at, length


def _mat5(stream: IO[bytes]) -> Region:
    """MATLAB 5: elements behind their type and length. The samples are the last one."""
    order = ">" if _read(stream, 126, 2) == b"MI" else "<"
    at, length = 128, 0
    while len(head := _read(stream, at + length, 8)) == 8:
        at, length = at + length + 8, int(struct.unpack(f"{order}4xI", head)[0])
    return at, length


_PROMISES: Final[Mapping[str, Callable[[IO[bytes]], Region]]] = {
    "AVR": _avr,
    "MAT4": _mat4,
    "MAT5": _mat5,
    "MPC2K": _mpc2k,
    "NIST": _nist,
    "WVE": _wve,
}


def _read(stream: IO[bytes], at: int, count: int) -> bytes:
    """Bytes at a place; none where no file reaches."""
    if not 0 <= at < _LONGEST_FILE:
        return b""
    stream.seek(at)
    return stream.read(count)
