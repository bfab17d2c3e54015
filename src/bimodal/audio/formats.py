"""What a file is, by its first bytes, and whether it ends before its end: a name or a size in a header is a hint only.

A file is opened as the format that its bytes tell and no other: left to guess, FFmpeg takes a text file for a playlist
and follows it to other files.
"""

from typing import IO, Final

from bimodal.audio.chunks import skip_id3

_SIGNATURES: Final[tuple[tuple[int, bytes, str], ...]] = (
    (4, b"ftyp", "mov"),
    (4, b"moov", "mov"),
    (4, b"moof", "mov"),
    (4, b"mdat", "mov"),
    (4, b"wide", "mov"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (0, b"OggS", "ogg"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "asf"),
    (0, b"FLV\x01", "flv"),
    (8, b"AVI ", "avi"),
    (0, b"#!AMR", "amr"),
    (0, b"\xff\xf1", "aac"),
    (0, b"\xff\xf9", "aac"),
    (0, b"TTA1", "tta"),
    (0, b"wvpk", "wv"),
    (0, b"\x0b\x77", "ac3"),
    (0, b"\x00\x00\x01\xba", "mpeg"),
)
_FALLBACKS: Final[tuple[tuple[int, bytes, str], ...]] = (
    (8, b"WAVE", "wav"),
    (0, b"riff", "w64"),
    (0, b"FORM", "aiff"),
    (0, b".snd", "au"),
    (0, b"caff", "caf"),
    (0, b"fLaC", "flac"),
)
_TRANSPORT_PACKET: Final = 188
_GSM_FRAME: Final = 33
_HEAD_BYTES: Final = 8192

_BIT_RATES: Final = {  # kbit/s of MPEG audio by (is MPEG-1, layer); ISO/IEC 11172-3 and 13818-3
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG_RATES: Final = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}

_EBML_CONTAINERS: Final = (0x18538067, 0x1F43B675)  # Segment, Cluster
_MOST_ELEMENTS: Final = 50_000_000


def container_kind(stream: IO[bytes]) -> str:
    """FFmpeg's name of a format that FFmpeg decodes, by its first bytes; empty for what libsndfile decodes.

    Example:
        >>> import io
        >>> container_kind(io.BytesIO(b"OggS" + bytes(60))), container_kind(io.BytesIO(b"RIFF    WAVEfmt "))
        ('ogg', '')
    """
    begin = skip_id3(stream)
    stream.seek(begin)
    head = stream.read(_HEAD_BYTES)
    if found := _named(head, _SIGNATURES):
        return found
    if head[::_TRANSPORT_PACKET][:4] == b"GGGG":
        return "mpegts"
    if _named(head, _FALLBACKS):
        return ""
    if begin or holds_mpeg_frames(head):
        return "mp3"
    frames = head[::_GSM_FRAME][:8]
    return "gsm" if len(frames) == 8 and all(byte >> 4 == 13 for byte in frames) else ""


def fallback_kind(stream: IO[bytes]) -> str:
    """FFmpeg's name of a format that libsndfile decodes as a rule, and FFmpeg where it cannot; empty for the others.

    Example:
        >>> import io
        >>> fallback_kind(io.BytesIO(b"fLaC" + bytes(60)))
        'flac'
    """
    stream.seek(skip_id3(stream))
    return _named(stream.read(16), _FALLBACKS)


def _named(head: bytes, signatures: tuple[tuple[int, bytes, str], ...]) -> str:
    return next((kind for offset, magic, kind in signatures if head[offset:].startswith(magic)), "")


def holds_mpeg_frames(head: bytes) -> bool:
    r"""Whether frames of MPEG audio (MP3, MP2) follow one another somewhere in these bytes, or one begins them.

    Example:
        >>> frame = b"\xff\xfb\x90\x00" + bytes(413)
        >>> holds_mpeg_frames(frame), holds_mpeg_frames(b"junk" + 3 * frame), holds_mpeg_frames(b"junk" + frame)
        (True, True, False)
    """
    if mpeg_frame_bytes(head):
        return True
    at = head.find(b"\xff")
    while at >= 0:
        second = at + mpeg_frame_bytes(head[at : at + 4])
        third = second + mpeg_frame_bytes(head[second : second + 4])
        if at < second < third and mpeg_frame_bytes(head[third : third + 4]):
            return True
        at = head.find(b"\xff", at + 1)
    return False


def mpeg_frame_bytes(head: bytes) -> int:
    r"""Length of the frame of MPEG audio that begins with these four bytes; 0 where none does.

    Example:
        >>> mpeg_frame_bytes(b"\xff\xfb\x90\x00")  # MPEG-1 layer 3, 128 kbit/s, 44.1 kHz
        417
    """
    if len(head) < 4 or head[0] != 255 or head[1] < 224:
        return 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bit_rate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bit_rate in (0, 15) or rate == 3:
        return 0
    bits, hertz = 1000 * _BIT_RATES[version == 3, layer][bit_rate], _MPEG_RATES[version][rate]
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    return (144 if version == 3 or layer == 2 else 72) * bits // hertz + padding


def mpeg_frames_promised(stream: IO[bytes]) -> int:
    """Number of frames that the Xing, Info or VBRI header of an MP3 promises; 0 without one."""
    stream.seek(skip_id3(stream))
    head = stream.read(1024)
    for name, offset in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        at = head.find(name)
        if at >= 0 and (name == b"VBRI" or (head[at + 7 : at + 8] and head[at + 7] & 1)):
            return int.from_bytes(head[at + offset : at + offset + 4], "big")
    return 0


def holds_another_flac(stream: IO[bytes]) -> bool:
    """Whether a second FLAC file was joined to the first one."""
    stream.seek(4)
    before = b""
    while block := stream.read(1 << 20):
        if b"fLaC\x00\x00\x00\x22" in before + block:
            return True
        before = block[-7:]
    return False


def ends_early(stream: IO[bytes], size: int, kind: str) -> bool:
    """Whether a file of this kind stops in the middle of its data; False for kinds that do not tell.

    Args:
        stream: The file.
        size: Its length in bytes.
        kind: As `container_kind` names it.
    """
    if kind == "ogg":
        return _ogg_ends_early(stream, size)
    if kind == "matroska":
        return _matroska_ends_early(stream, size)
    return False


def _ogg_ends_early(stream: IO[bytes], size: int) -> bool:
    """Whether the last page is not whole, or not marked as the last one of its stream."""
    tail = min(size, 2 * 65_307)  # a page is at most this long (RFC 3533)
    stream.seek(size - tail)
    data = stream.read(tail)
    at = data.rfind(b"OggS")
    if at < 0 or len(data) < at + 27:
        return True
    table = data[at + 27 : at + 27 + data[at + 26]]
    whole = len(table) == data[at + 26] and at + 27 + len(table) + sum(table) <= len(data)
    return not whole or not data[at + 5] & 4


def _matroska_ends_early(stream: IO[bytes], size: int) -> bool:
    """Whether an element is longer than the file. What is in a container follows it, whatever its size (RFC 8794)."""
    at = end = 0
    for _ in range(_MOST_ELEMENTS):
        if at >= size:
            break
        stream.seek(at)
        head = stream.read(12)
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
