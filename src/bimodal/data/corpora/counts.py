"""Whether a corpus is whole: what was found, against what its publishers count."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bimodal.records import Utterance


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What the publishers of a corpus count.

    Attributes:
        utterances: In the whole corpus.
        emotions: Utterances of each label; empty where nobody counts them.
        splits: Utterances of each official part.
        speakers: 0 where nobody counts them.
    """

    utterances: int
    emotions: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)
    speakers: int = 0


def difference(utterances: Sequence[Utterance], published: Published) -> str | None:
    """What differs from the published counts, in one sentence; None if nothing does.

    Example:
        >>> difference([Utterance(id="a", emotion="joy")], Published(utterances=2))
        '1 of 2 published utterances found; the others are missing: download or unpack the rest'
        >>> difference([Utterance(id="a", emotion="joy")], Published(utterances=1, emotions={"joy": 1}))
    """
    found, expected = len(utterances), published.utterances
    if found < expected:
        return (
            f"{found:,} of {expected:,} published utterances found; the others are missing: download or unpack the rest"
        )
    if found > expected:
        return f"{found:,} utterances found, {expected:,} were published; this is another version, or files were added"
    parts = [
        *_wrong(Counter(row.emotion for row in utterances), published.emotions),
        *_wrong(Counter(row.split for row in utterances), published.splits),
    ]
    speakers = len({row.speaker for row in utterances if row.speaker is not None})
    if published.speakers and speakers != published.speakers:
        parts.append(f"{speakers} speakers, {published.speakers} were published")
    if not parts:
        return None
    return f"all {found:,} utterances found, but {parts[0]}; this is another version, or files were renamed"


def _wrong(found: Mapping[str | None, int], expected: Mapping[str, int]) -> list[str]:
    return [
        f"{found.get(name, 0):,} of {name!r}, {count:,} were published"
        for name, count in expected.items()
        if found.get(name, 0) != count
    ]
