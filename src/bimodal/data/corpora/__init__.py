"""One module per corpus: `prepare(source)` reads the original files and gives utterances. `CORPORA` lists them.

`prepare_corpus` writes them as a folder of one shape: `manifest.csv`, and the recordings below `audio/`.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bimodal.data.corpora import (
    aesdd,
    cafe,
    crema_d,
    dailydialog,
    emocontext,
    emodb,
    emorynlp,
    emotiontts,
    emovo,
    esd,
    goemotions,
    iemocap,
    jl_corpus,
    manifest,
    meld,
    mesd,
    msp_podcast,
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
from bimodal.data.manifest import write_manifest
from bimodal.errors import ManifestError
from bimodal.files import atomic_write
from bimodal.records import Manifest, Problem, Utterance, describe_problems

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
    """

    prepare: Prepare
    title: str
    languages: tuple[str, ...]
    licence: str
    citation: str
    url: str
    files: str
    labels: Mapping[str, Prepare] = field(default_factory=dict)


CORPORA: dict[str, CorpusInfo] = {
    "aesdd": CorpusInfo(
        prepare=aesdd.prepare,
        title="AESDD: Greek actors say 20 sentences in five emotions",
        languages=("el",),
        licence="not stated; ask its publishers",
        citation="Vryzas et al. 2018, Journal of the Audio Engineering Society 66(6)",
        url="http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/",
        files="the unpacked archive (anger/a01 (1).wav, ...)",
    ),
    "cafe": CorpusInfo(
        prepare=cafe.prepare,
        title="CaFE: twelve actors of Quebec say six sentences in seven emotions",
        languages=("fr",),
        licence="CC BY-NC-SA 4.0",
        citation="Gournay et al. 2018, ACM Multimedia Systems",
        url="https://zenodo.org/records/1478765",
        files="the unpacked archive (Colère/Faible/01-C-1-1.wav, ...)",
    ),
    "crema_d": CorpusInfo(
        prepare=crema_d.prepare,
        title="CREMA-D: 91 actors say twelve sentences in six emotions, with votes of raters",
        languages=("en",),
        licence="ODbL 1.0, contents DbCL 1.0",
        citation="Cao et al. 2014, IEEE Transactions on Affective Computing 5(4)",
        url="https://github.com/CheyneyComputerScience/CREMA-D",
        files="the repository (AudioWAV/1001_DFA_ANG_XX.wav, ..., and its tables)",
        labels={"intended": crema_d.prepare, "votes": crema_d.prepare_votes},
    ),
    "dailydialog": CorpusInfo(
        prepare=dailydialog.prepare,
        title="DailyDialog: dialogues of learners of English in six emotions and neutral, text only",
        languages=("en",),
        licence="CC BY-NC-SA 4.0",
        citation="Li et al. 2017, IJCNLP",
        url="http://yanran.li/dailydialog",
        files="the unpacked archive, its parts unpacked too (train/dialogues_train.txt, ...)",
    ),
    "emocontext": CorpusInfo(
        prepare=emocontext.prepare,
        title="EmoContext: chats of three turns, the last in three emotions or others, text only",
        languages=("en",),
        licence="terms of SemEval-2019",
        citation="Chatterjee et al. 2019, SemEval",
        url="https://www.humanizing-ai.com/emocontext.html",
        files="train.txt, and dev.txt and test.txt with labels",
    ),
    "emodb": CorpusInfo(
        prepare=emodb.prepare,
        title="EmoDB: ten actors say ten sentences in seven emotions",
        languages=("de",),
        licence="CC0-1.0",
        citation="Burkhardt et al. 2005, Interspeech",
        url="http://emodb.bilderbar.info",
        files="the unpacked archive (wav/03a01Fa.wav, ...)",
    ),
    "emorynlp": CorpusInfo(
        prepare=emorynlp.prepare,
        title="EmoryNLP: dialogues of Friends in seven emotions, text only",
        languages=("en",),
        licence="Apache-2.0",
        citation="Zahiri and Choi 2018, AAAI workshops",
        url="https://github.com/emorynlp/emotion-detection",
        files="the repository (json/emotion-detection-trn.json, ...)",
    ),
    "emotiontts": CorpusInfo(
        prepare=emotiontts.prepare,
        title="emotiontts_open_db: 15 speakers in four emotions, with real words",
        languages=("ko",),
        licence="research only",
        citation="Selvas AI 2020",
        url="https://github.com/emotiontts/emotiontts_open_db",
        files="the emotional part (nea/wav/nea00001.wav, nea/transcript, ...)",
    ),
    "emovo": CorpusInfo(
        prepare=emovo.prepare,
        title="EMOVO: six Italian actors say fourteen sentences in seven emotions",
        languages=("it",),
        licence="not stated; ask its publishers",
        citation="Costantini et al. 2014, LREC",
        url="http://voice.fub.it/activities/corpora/emovo/index.html",
        files="the unpacked archive (EMOVO/f1/dis-f1-b1.wav, ...)",
    ),
    "esd": CorpusInfo(
        prepare=esd.prepare,
        title="ESD: ten Mandarin and ten English speakers say 350 sentences in five emotions",
        languages=("zh", "en"),
        licence="research only, on request",
        citation="Zhou et al. 2022, Speech Communication 137",
        url="https://github.com/HLTSingapore/Emotional-Speech-Data",
        files="the unpacked archive (0011/Angry/0011_000351.wav, 0011/0011.txt, ...)",
    ),
    "goemotions": CorpusInfo(
        prepare=goemotions.prepare,
        title="GoEmotions: comments of Reddit in 27 emotions and neutral, text only",
        languages=("en",),
        licence="Apache-2.0",
        citation="Demszky et al. 2020, ACL",
        url="https://github.com/google-research/google-research/tree/master/goemotions",
        files="the folder data (train.tsv, dev.tsv, test.tsv)",
    ),
    "iemocap": CorpusInfo(
        prepare=iemocap.prepare,
        title="IEMOCAP: ten actors in scripted and improvised dialogues, with votes and dimensions",
        languages=("en",),
        licence="research only, on request",
        citation="Busso et al. 2008, Language Resources and Evaluation 42",
        url="https://sail.usc.edu/iemocap/",
        files="IEMOCAP_full_release (Session1/dialog, Session1/sentences/wav, ...)",
    ),
    "jl_corpus": CorpusInfo(
        prepare=jl_corpus.prepare,
        title="JL corpus: four New Zealand speakers in five primary and five secondary emotions",
        languages=("en",),
        licence="CC0-1.0",
        citation="James et al. 2018, Interspeech",
        url="https://github.com/tli725/JL-Corpus",
        files="the unpacked archive (.../female1_angry_10a_1.wav and .txt, ...)",
    ),
    "manifest": CorpusInfo(
        prepare=manifest.prepare,
        title="your own recordings or texts, listed in a manifest",
        languages=(),
        licence="yours",
        citation="none",
        url="none",
        files="a manifest (.csv or .jsonl), or the folder with manifest.csv, manifest.jsonl or metadata.csv",
    ),
    "meld": CorpusInfo(
        prepare=meld.prepare,
        title="MELD: dialogues of Friends in seven emotions, with an official split",
        languages=("en",),
        licence="GPL-3.0",
        citation="Poria et al. 2019, ACL",
        url="https://github.com/declare-lab/MELD",
        files="MELD.Raw, unpacked (train_sent_emo.csv, ..., and the clips)",
    ),
    "mesd": CorpusInfo(
        prepare=mesd.prepare,
        title="MESD: Mexican children and adults say words in six emotions",
        languages=("es",),
        licence="CC BY 4.0",
        citation="Duville et al. 2021, Data 6(12)",
        url="https://data.mendeley.com/datasets/cy34mh68j9",
        files="the unpacked archive (Anger_C_A_abajo.wav, ...)",
    ),
    "msp_podcast": CorpusInfo(
        prepare=msp_podcast.prepare,
        title="MSP-Podcast: spontaneous speech of podcasts in eight emotions, with dimensions",
        languages=("en",),
        licence="research only, on request",
        citation="Lotfian and Busso 2019, IEEE Transactions on Affective Computing 10(4)",
        url="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html",
        files="the unpacked corpus (Labels/labels_consensus.csv, Audios, Transcripts)",
    ),
    "nemo": CorpusInfo(
        prepare=nemo.prepare,
        title="nEMO: nine Polish actors say 90 sentences in six emotions",
        languages=("pl",),
        licence="CC BY-NC-SA 4.0",
        citation="Christop 2024, LREC-COLING",
        url="https://github.com/amu-cai/nEMO",
        files="the repository (data.tsv, samples/EB0_anger_1.wav, ...)",
    ),
    "ravdess": CorpusInfo(
        prepare=ravdess.prepare,
        title="RAVDESS: 24 actors say two sentences in eight emotions",
        languages=("en",),
        licence="CC BY-NC-SA 4.0",
        citation="Livingstone and Russo 2018, PLOS ONE",
        url="https://zenodo.org/records/1188976",
        files="Audio_Speech_Actors_01-24.zip, unpacked",
    ),
    "ravdess_song": CorpusInfo(
        prepare=ravdess_song.prepare,
        title="RAVDESS, song: 23 actors sing two sentences in six emotions",
        languages=("en",),
        licence="CC BY-NC-SA 4.0",
        citation="Livingstone and Russo 2018, PLOS ONE",
        url="https://zenodo.org/records/1188976",
        files="Audio_Song_Actors_01-24.zip, unpacked",
    ),
    "savee": CorpusInfo(
        prepare=savee.prepare,
        title="SAVEE: four men say sentences of TIMIT in seven emotions",
        languages=("en",),
        licence="research only",
        citation="Haq and Jackson 2010, Machine Audition",
        url="http://kahlan.eps.surrey.ac.uk/savee/",
        files="the unpacked archive (AudioData/DC/a01.wav, ...)",
    ),
    "shemo": CorpusInfo(
        prepare=shemo.prepare,
        title="ShEMO: 87 Persian speakers of radio plays in six emotions",
        languages=("fa",),
        licence="academic use",
        citation="Mohamad Nezami et al. 2019, Language Resources and Evaluation 53",
        url="https://github.com/mansourehk/ShEMO",
        files="the unpacked archives (female/F03S02.wav, male/M01A01.wav, ...)",
    ),
    "subesco": CorpusInfo(
        prepare=subesco.prepare,
        title="SUBESCO: 20 Bangla speakers say ten sentences in seven emotions",
        languages=("bn",),
        licence="CC BY 4.0",
        citation="Sultana et al. 2021, PLOS ONE 16(4)",
        url="https://zenodo.org/records/4526477",
        files="the unpacked archive (F_01_OISHI_S_1_ANGRY_1.wav, ...)",
    ),
    "tess": CorpusInfo(
        prepare=tess.prepare,
        title="TESS: two women say 200 words in seven emotions",
        languages=("en",),
        licence="CC BY-NC-ND 4.0",
        citation="Pichora-Fuller and Dupuis 2020, Borealis",
        url="https://doi.org/10.5683/SP2/E8H2MF",
        files="the unpacked archive (OAF_angry/OAF_back_angry.wav, ...)",
    ),
    "tweeteval": CorpusInfo(
        prepare=tweeteval.prepare,
        title="TweetEval, task emotion: tweets in four emotions, text only",
        languages=("en",),
        licence="terms of Twitter and of SemEval-2018",
        citation="Barbieri et al. 2020, Findings of EMNLP; Mohammad et al. 2018, SemEval",
        url="https://github.com/cardiffnlp/tweeteval",
        files="the folder datasets/emotion",
    ),
    "urdu": CorpusInfo(
        prepare=urdu.prepare,
        title="URDU: 400 recordings of talk shows in four emotions",
        languages=("ur",),
        licence="research only",
        citation="Latif et al. 2018, FIT",
        url="https://github.com/siddiquelatif/URDU-Dataset",
        files="the repository (Angry/SM1_F10_A010.wav, ...)",
    ),
}
"""The corpora by name, for `bimodal prepare` and `bimodal corpora`."""

_NAME: Final = 14  # width of a name in the list


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
    ]
    return f"\n{'':<{_NAME}}".join(lines)


def prepare_corpus(name: str, source: Path, out: Path, labels: str | None = None) -> Manifest:
    """Write a corpus as `out/manifest.csv` with its recordings below `out/audio/`.

    Recordings are hard-linked where the file system allows it (no space is used, and a link cannot lead out of the
    folder), and copied elsewhere. Files that are already there are kept: to resume an interrupted call, call again. The
    manifest is written last.

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


def _link_recordings(paths: list[str], base: Path, out: Path) -> dict[str, str]:
    """Put every recording below `out/audio`; return the new path of each, relative to `out`."""
    prefix = "" if all(path.startswith("audio/") for path in paths) else "audio/"
    problems = [
        Problem(where=str(base / path), message="no such recording") for path in paths if not (base / path).is_file()
    ]
    if problems:
        raise ManifestError(describe_problems(problems))
    for path in paths:
        try:
            _link((base / path).resolve(), out / (prefix + path))
        except OSError as error:
            raise ManifestError(f"{out / (prefix + path)}: cannot be written ({error.strerror})") from error
    return {path: prefix + path for path in paths}


def _link(original: Path, target: Path) -> None:
    """A hard link or a copy; complete or not there at all."""
    if target.exists():
        there, here = target.stat(), original.stat()
        if (there.st_size, there.st_mtime) == (here.st_size, here.st_mtime):  # as links and copies both have them
            return
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as temporary:
        try:
            os.link(original, temporary)
        except OSError:  # another file system, or one without hard links
            shutil.copy2(original, temporary)
