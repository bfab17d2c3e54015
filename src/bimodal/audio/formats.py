"""What a file is, by its first bytes: a name or a size in a header is a hint only.

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
    (0, b"Creative Voice File\x1a", "voc"),  # libsndfile takes the heads of its blocks for samples
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
_AC3_BIT_RATES: Final = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_MPEG_RATES: Final = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


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


def frame_bytes(codec: str, head: bytes) -> int:
    r"""Length of the frame of sound that begins with these bytes; 0 where it does not say.

    Args:
        codec: As FFmpeg names it.
        head: Eight bytes of a frame.

    Example:
        >>> frame_bytes("ac3", b"\x0b\x77\x00\x00\x14\x40\x00\x00")  # 48 kHz, 192 kbit/s
        768
    """
    if codec in ("mp1float", "mp1", "mp2float", "mp2", "mp3float", "mp3"):
        return mpeg_frame_bytes(head)
    if codec in ("ac3", "eac3") and len(head) >= 6 and head[:2] == b"\x0b\x77":
        return _ac3_frame_bytes(head)
    return 0


def _ac3_frame_bytes(head: bytes) -> int:
    """Length of a frame of AC-3 or E-AC-3; ETSI TS 102 366."""
    if head[5] >> 3 > 10:  # E-AC-3
        return 2 * ((head[2] & 7) << 8 | head[3]) + 2
    rate, code = head[4] >> 6, head[4] & 63
    if rate == 3 or code >= 2 * len(_AC3_BIT_RATES):
        return 0
    bits = 1000 * _AC3_BIT_RATES[code // 2]
    return 2 * (bits * 96 // (48_000, 44_100, 32_000)[rate] + (code & 1 if rate == 1 else 0))


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
