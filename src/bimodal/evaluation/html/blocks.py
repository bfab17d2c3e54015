"""What a section of the page consists of. `page.html` draws each kind of block."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

Level = Literal["bad", "warn", "note"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What stands in it.
        small: A second line in small letters, such as an interval.
    """

    text: str
    small: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows of cells; the first cell of a row names it.

    Attributes:
        caption: A sentence that says what the table shows.
        header: Names of the columns.
        rows: As long as the header.
        marked: Number of the column that is emphasised, from 0; -1 for none.
        numeric: Whether all but the first column hold numbers.
    """

    kind: ClassVar[str] = "table"
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    marked: int = -1
    numeric: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatCell:
    """One cell of a confusion matrix.

    Attributes:
        text: Percent of the row.
        count: Utterances.
        step: Strength of the colour, 0 to 20.
        right: Whether it is on the diagonal.
    """

    text: str
    count: int
    step: int
    right: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Heat:
    """A confusion matrix.

    Attributes:
        caption: Whose it is.
        names: Emotions, (C,).
        totals: Utterances of each true emotion, (C,).
        rows: (C, C), rows truth, columns prediction.
    """

    kind: ClassVar[str] = "heat"
    caption: str
    names: Sequence[str]
    totals: Sequence[int]
    rows: Sequence[Sequence[HeatCell]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A value from 0 to 100 with its interval.

    Attributes:
        name: Of the system.
        value: In percent; None where it is undefined.
        low: Lower end in percent; None without an interval.
        high: Upper end in percent.
        colour: `#rrggbb`.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    colour: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BarGroup:
    """Bars that belong together.

    Attributes:
        name: Of the group, such as an emotion.
        count: Utterances.
        bars: One a system.
    """

    name: str
    count: int
    bars: Sequence[Bar]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bars:
    """Groups of bars from 0 to 100 %.

    Attributes:
        caption: What the bars show.
        groups: In order.
        line: Where a line is drawn, in percent, such as chance; None for none.
    """

    kind: ClassVar[str] = "bars"
    caption: str
    groups: Sequence[BarGroup]
    line: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """A drawing.

    Attributes:
        svg: SVG of `svg.drawn`, safe to stand in a page.
        caption: What to see in it.
    """

    kind: ClassVar[str] = "plot"
    svg: str
    caption: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """Sentences, each an item.

    Attributes:
        sentences: In order.
        heading: Above them; empty for none.
    """

    kind: ClassVar[str] = "listing"
    sentences: Sequence[str]
    heading: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """A command or the like, to copy.

    Attributes:
        text: As it is.
        label: What it is.
    """

    kind: ClassVar[str] = "code"
    text: str
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipCard:
    """One utterance, to hear and read.

    Attributes:
        name: Its id.
        truth: Its emotion.
        answer: What the main system answered.
        confidence: In percent.
        facts: Name and value of what else is known, such as what speech alone says.
        transcript: Its words; empty if there are none or they are left out.
        sound: MP3 as a data URL; empty if there is none.
        remark: Why there is no sound, or that it is cut.
    """

    name: str
    truth: str
    answer: str
    confidence: str
    facts: Sequence[tuple[str, str]]
    transcript: str
    sound: str
    remark: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Clips:
    """Utterances to hear and read.

    Attributes:
        cards: In order.
        heading: Above them.
        caption: How they were chosen.
    """

    kind: ClassVar[str] = "clips"
    cards: Sequence[ClipCard]
    heading: str
    caption: str


Block = Table | Heat | Bars | Plot | Listing | Code | Clips


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A section of the page.

    Attributes:
        lead: One or two sentences that say what to look at.
        blocks: Its content.
    """

    lead: str
    blocks: Sequence[Block]


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A section without data.

    Attributes:
        reason: Why, and what to do to have it.
    """

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """What a reader must know before the figures.

    Attributes:
        level: `bad`: the figures mislead without it; `warn`: they are weaker than they look; `note`: good to know.
        text: One or two plain sentences.
    """

    level: Level
    text: str
