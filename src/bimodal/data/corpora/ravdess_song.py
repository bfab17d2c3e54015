"""RAVDESS, song: 23 of its actors sing the two sentences in six emotions (Livingstone and Russo, 2018)."""

from pathlib import Path
from typing import Final

from bimodal.data.corpora.info import CorpusInfo
from bimodal.data.corpora.ravdess import read_channel
from bimodal.records import Utterance


def prepare(source: Path) -> tuple[Utterance, ...]:
    """Utterances of the sung audio files, `.wav` or `.flac`, anywhere below a folder.

    Columns are those of `ravdess`. Speech, video and second copies are left out, and counted in a warning of the log.

    Raises:
        ManifestError: No file name below the folder is one of RAVDESS' songs.
    """
    return read_channel(source, "song")


CORPUS: Final = CorpusInfo(
    prepare=prepare,
    title="RAVDESS, song: 23 actors sing two sentences in six emotions",
    languages=("en",),
    licence="CC BY-NC-SA 4.0",
    citation="Livingstone and Russo 2018, PLOS ONE",
    url="https://zenodo.org/records/1188976",
    files="Audio_Song_Actors_01-24.zip, unpacked",
)
