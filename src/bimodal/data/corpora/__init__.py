"""One module per corpus: `prepare(source)` reads the original files and gives utterances. `CORPORA` lists them.

`prepare_corpus` writes them as a folder of one shape: `manifest.csv`, and the recordings below `audio/`.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bimodal.data.corpora import (
    aesdd,
    ased,
    baved,
    cafe,
    cmu_mosei,
    cmu_mosi,
    crema_d,
    dailydialog,
    emns,
    emocontext,
    emodb,
    emogator,
    emorynlp,
    emotiontts,
    emov_db,
    emovo,
    emozionalmente,
    esd,
    goemotions,
    iemocap,
    isear,
    jl_corpus,
    manifest,
    meld,
    mesd,
    msp_improv,
    msp_podcast,
    mustard_pp,
    nemo,
    ravdess,
    ravdess_song,
    savee,
    shemo,
    subesco,
    tess,
    tweeteval,
    urdu,
)
from bimodal.data.corpora.counts import difference
from bimodal.data.corpora.info import CorpusInfo, Prepare
from bimodal.data.links import link_recording
from bimodal.data.manifest import write_manifest
from bimodal.errors import ManifestError
from bimodal.records import Manifest, Problem, Utterance, describe_problems

log = logging.getLogger(__name__)

CORPORA: dict[str, CorpusInfo] = {
    "aesdd": aesdd.CORPUS,
    "ased": ased.CORPUS,
    "baved": baved.CORPUS,
    "cafe": cafe.CORPUS,
    "cmu_mosei": cmu_mosei.CORPUS,
    "cmu_mosi": cmu_mosi.CORPUS,
    "crema_d": crema_d.CORPUS,
    "dailydialog": dailydialog.CORPUS,
    "emns": emns.CORPUS,
    "emocontext": emocontext.CORPUS,
    "emodb": emodb.CORPUS,
    "emogator": emogator.CORPUS,
    "emorynlp": emorynlp.CORPUS,
    "emotiontts": emotiontts.CORPUS,
    "emov_db": emov_db.CORPUS,
    "emovo": emovo.CORPUS,
    "emozionalmente": emozionalmente.CORPUS,
    "esd": esd.CORPUS,
    "goemotions": goemotions.CORPUS,
    "iemocap": iemocap.CORPUS,
    "isear": isear.CORPUS,
    "jl_corpus": jl_corpus.CORPUS,
    "manifest": manifest.CORPUS,
    "meld": meld.CORPUS,
    "mesd": mesd.CORPUS,
    "msp_improv": msp_improv.CORPUS,
    "msp_podcast": msp_podcast.CORPUS,
    "mustard_pp": mustard_pp.CORPUS,
    "nemo": nemo.CORPUS,
    "ravdess": ravdess.CORPUS,
    "ravdess_song": ravdess_song.CORPUS,
    "savee": savee.CORPUS,
    "shemo": shemo.CORPUS,
    "subesco": subesco.CORPUS,
    "tess": tess.CORPUS,
    "tweeteval": tweeteval.CORPUS,
    "urdu": urdu.CORPUS,
}
"""The corpora by name, for `bimodal prepare` and `bimodal corpora`."""

_NAME: Final = 16  # width of a name in the list


def describe_corpora() -> str:
    """The table for people: a paragraph a corpus, in order of their names."""
    return "\n\n".join(_describe(name, corpus) for name, corpus in sorted(CORPORA.items()))


def _describe(name: str, corpus: CorpusInfo) -> str:
    languages = ", ".join(corpus.languages) or "any"
    lines = [
        f"{name:<{_NAME}}{corpus.title}",
        f"language: {languages}; licence: {corpus.licence}; paper: {corpus.citation}",
        f"from: {corpus.url}",
        f"SOURCE: {corpus.files}",
        *([f"--labels: {' or '.join(corpus.labels)}"] if corpus.labels else []),
        *([f"utterances: {corpus.published.utterances:,}"] if corpus.published else []),
    ]
    return f"\n{'':<{_NAME}}".join(lines)


def prepare_corpus(name: str, source: Path, out: Path, labels: str | None = None) -> Manifest:
    """Write a corpus as `out/manifest.csv` with its recordings below `out/audio/`.

    Recordings are hard-linked where the file system allows it (no space is used, and a link cannot lead out of the
    folder), and copied elsewhere. Files that are already there are kept: to resume an interrupted call, call again. The
    manifest is written last. A warning of the log says what differs from the published counts.

    Args:
        name: A key of `CORPORA`; `manifest` stands for your own recordings.
        source: Where the original files are.
        out: Made if missing; may not lie within `source`.
        labels: Which labels to take, of a corpus with several kinds; None takes its first.

    Raises:
        ManifestError: If the name, the labels or the source is wrong, recordings are missing, or a file cannot be
            written.
    """
    if name not in CORPORA:
        raise ManifestError(f"unknown corpus {name!r}, expected one of {sorted(CORPORA)}; see 'bimodal corpora'")
    source, out = Path(source), Path(out)
    if not source.exists():
        raise ManifestError(f"{source}: no such file or folder; give the place of the original {name} files")
    base = source if source.is_dir() else source.parent
    if out.resolve().is_relative_to(base.resolve()):
        raise ManifestError(f"{out}: lies within the source {base}; choose a folder outside it")
    utterances = _reader(name, labels)(source)
    _compare_counts(name, utterances, labels)
    paths = _link_recordings(sorted({row.path for row in utterances if row.path is not None}), base, out)
    rows = [row if row.path is None else replace(row, path=paths[row.path]) for row in utterances]
    out.mkdir(parents=True, exist_ok=True)
    return write_manifest(out / "manifest.csv", rows)


def _reader(name: str, labels: str | None) -> Prepare:
    corpus = CORPORA[name]
    if labels is None:
        return corpus.prepare
    if labels not in corpus.labels:
        expected = f"expected one of {list(corpus.labels)}" if corpus.labels else "it has one kind; leave --labels out"
        raise ManifestError(f"corpus {name!r} has no labels {labels!r}, {expected}")
    return corpus.labels[labels]


def _compare_counts(name: str, utterances: Sequence[Utterance], labels: str | None) -> None:
    corpus = CORPORA[name]
    if corpus.published is None:
        return
    first = labels is None or labels == next(iter(corpus.labels))
    published = corpus.published if first else replace(corpus.published, emotions={})
    if found := difference(utterances, published):
        log.warning("%s: %s", name, found)


def _link_recordings(paths: list[str], base: Path, out: Path) -> dict[str, str]:
    """Put every recording below `out/audio`; return the new path of each, relative to `out`."""
    prefix = "" if all(path.startswith("audio/") for path in paths) else "audio/"
    problems = [
        Problem(where=str(base / path), message="no such recording") for path in paths if not (base / path).is_file()
    ]
    if problems:
        raise ManifestError(describe_problems(problems))
    for path in paths:
        link_recording((base / path).resolve(), out / (prefix + path))
    return {path: prefix + path for path in paths}
