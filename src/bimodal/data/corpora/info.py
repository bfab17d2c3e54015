"""What a corpus is, for its module and for the table `CORPORA`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bimodal.data.corpora.counts import Published
from bimodal.records import Utterance

Prepare = Callable[[Path], tuple[Utterance, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusInfo:
    """A corpus that `bimodal prepare` reads.

    Attributes:
        prepare: Reads the original files below a folder; raises `ManifestError`.
        title: Name, and what it holds.
        languages: ISO 639-1 codes of what is spoken or written; empty for any.
        licence: Licence of the data, as its publishers give it.
        citation: Authors, year and place of the paper.
        url: Where its publishers offer it.
        files: What to give as SOURCE.
        labels: For a corpus with several kinds of labels, `prepare` by the name of the kind; the first is `prepare`.
        published: What the whole corpus holds, as its publishers count it; None where that is not known. The emotions
            are those of the first kind of labels.
    """

    prepare: Prepare
    title: str
    languages: tuple[str, ...]
    licence: str
    citation: str
    url: str
    files: str
    labels: Mapping[str, Prepare] = field(default_factory=dict)
    published: Published | None = None
