"""Who speaks when in joined clips: diarisation error rate, and what each speaker's own baseline is worth.

`--segmentation FILE` is the ONNX file of pyannote segmentation-3.0. Needs the extra `diarise` and pyannote.metrics.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from pyannote.core import Annotation, Timeline
from pyannote.core import Segment as Stretch
from pyannote.metrics.diarization import DiarizationErrorRate

from benchmarks.acted import progress
from benchmarks.default_models import COMPLETE, complete_rows, source_of
from benchmarks.diarise_gain import GAINS, SYSTEMS, Scored, Scorer, gain_figure, system_figure
from benchmarks.record import ROOT, Figure, Options, Result, make_figure, options_parser, save_result, to_options
from bimodal.audio.decode import SAMPLING_RATE, Signal
from bimodal.audio.segmentation import Segment, SegmentStream
from bimodal.data.corpora import CORPORA
from bimodal.diarisation import naming
from bimodal.diarisation.diarise import SURE, Diarisation, find_stretches, name_turns
from bimodal.diarisation.networks import Networks, open_networks
from bimodal.diarisation.pieces import Piece, TurnTable
from bimodal.evaluation.join import JoinConfig, group_clips, join_clips
from bimodal.inference.model import Model
from bimodal.inference.stream import TimelineConfig
from bimodal.records import Utterance

CHOSEN_ON, REPORTED = ("emodb", "crema_d"), ("ravdess", "emotiontts")
"""Corpora that the constants were chosen on, and those that they were not."""

MOST = {"emodb": 5, "crema_d": 5, "ravdess": 6, "emotiontts": 4}
"""Recordings of each corpus and condition."""

CLIPS = 30
"""Clips of a recording, at most."""

CALM = ("neutral", "calm")
COLLAR = 0.0
TRIED = (
    "All was chosen on 52 recordings of one, two and three speakers, joined from EmoDB and CREMA-D (scratch scripts). "
    "Figures are seconds of found speech given to the wrong speaker, in percent, with the number of speakers given. "
    "Clustering the speakers that the network finds in each window of 10 s: 24 to 28 with average, complete, Ward and "
    "centroid linkage. It cannot be better than 16: the network itself mixes people whose emotion changes. Clustering "
    "stretches of one local speaker: Ward 18.2, complete 19.7, average 25.9, Ward and spherical k-means 17.8. Only "
    "stretches from 1.5 s: Ward 20.1. Distances changed by what the network says within a window: 19.0 to 28.0.",
    "Number of speakers, by the height of Ward's tree, mean of the same error over all recordings: from 1.3 21.7; 1.4 "
    "21.4; 1.5 19.1; 1.6 18.9; 1.8 18.7; 2.0 20.7. With 1.5, all of 18 calm recordings of one and two speakers got the "
    "right number, with 2.0 16 of 18. By the cosine of two speakers' directions: 22.7 to 24.1.",
    "Of the 32 recordings of two and three speakers, 11 had a mean confidence above 0.88. In each of them, 92 % of the "
    "speech or more went to the right speaker; in the others 45 to 95 %. So 0.88 was taken for the warning.",
    "Sharpness of the confidence, by the mean logarithmic loss: 5 0.428; 6 0.413; 8 0.411; 10 0.432. 7 was taken.",
)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What was found in one recording.

    Attributes:
        errors: Seconds of missed speech, false alarm, confusion, and of speech, of the pieces that are recognised; the
            number of speakers is given.
        found: The same where the number of speakers is found.
        count: Number of speakers that was found.
        speakers: True number.
        confidence: Of the recording.
        scored: Confusions of emotions, by system; None for a recording that is not scored.
        seconds: Computing time of the diarisation, and length of the recording.
    """

    errors: tuple[float, float, float, float]
    found: tuple[float, float, float, float]
    count: int
    speakers: int
    confidence: float
    scored: Scored | None
    seconds: tuple[float, float]


def rows_of(corpus: str, options: Options, *, calm: bool) -> list[Utterance]:
    """Clips of a corpus: calm ones, or the four acted emotions."""
    folder = source_of(corpus, options)
    if calm:
        return [row for row in CORPORA[corpus].prepare(folder) if row.emotion in CALM]
    return complete_rows(corpus, folder)


def recordings_of(
    corpus: str, options: Options, *, calm: bool, speakers: int, seed: int
) -> Iterator[tuple[Signal, tuple[Utterance, ...]]]:
    """Joined recordings of one channel, up to 0.5 s of overlap between speakers, and their true turns."""
    config = JoinConfig(speakers=speakers, shortest_pause=0.2, longest_pause=1.2, seed=seed)
    groups = group_clips(rows_of(corpus, options, calm=calm), config)
    whole = [group for group in groups if len({row.speaker for row in group}) == speakers]
    for number, group in enumerate(whole[: MOST[corpus]]):
        channels = "speakers" if speakers > 1 else "mix"
        joined = join_clips(group[:CLIPS], source_of(corpus, options), str(number), channels, config, number)
        yield np.clip(np.sum(joined.signals, axis=0), -1, 1).astype(np.float32), joined.turns


def find_pieces(segments: Sequence[Segment], found: Diarisation) -> list[Piece]:
    """The pieces that `bimodal recognize` recognises."""
    table = TurnTable(found.turns)
    return [piece for segment in segments for piece in table.divide(segment)]


def errors_of(turns: Sequence[Utterance], pieces: Sequence[Piece], seconds: float) -> tuple[float, ...]:
    """Seconds of missed speech, false alarm, confusion, and of speech; by pyannote.metrics, overlap counts."""
    truth, told = Annotation(), Annotation()
    for number, turn in enumerate(turns):
        truth[Stretch(turn.start, turn.end), number] = turn.speaker
    for number, piece in enumerate(pieces):
        told[Stretch(piece.segment.start, piece.segment.end), number] = piece.speaker or "nobody"
    rate = DiarizationErrorRate(collar=COLLAR, skip_overlap=False)
    found = rate(truth, told, detailed=True, uem=Timeline([Stretch(0.0, seconds)]))
    return tuple(float(found[name]) for name in ("missed detection", "false alarm", "confusion", "total"))


def hear(signal: Signal, turns: Sequence[Utterance], networks: Networks, speakers: int, scorer: Scorer | None) -> Heard:
    """Find the speakers of one recording, and score its emotions if there is a scorer."""
    begun, seconds = time.process_time(), len(signal) / SAMPLING_RATE
    stretches = find_stretches([(signal, SAMPLING_RATE)], networks)
    given = name_turns(stretches, speakers)
    spent = time.process_time() - begun
    stream = SegmentStream(SAMPLING_RATE, TimelineConfig().segments)
    segments = [*stream.push(signal), *stream.finish()]
    pieces, found = find_pieces(segments, given), name_turns(stretches)
    errors, others = (errors_of(turns, one, seconds) for one in (pieces, find_pieces(segments, found)))
    return Heard(
        errors=errors,  # type: ignore[arg-type]
        found=others,  # type: ignore[arg-type]
        count=len(found.speakers),
        speakers=speakers,
        confidence=1.0 if given.confidence is None else given.confidence,
        scored=None if scorer is None else scorer.score(pieces, turns),
        seconds=(spent, seconds),
    )


def figures_of(name: str, heard: Sequence[Sequence[Heard]]) -> list[Figure]:
    """Error rates of one condition: one list of recordings for each seed."""
    every = [one for several in heard for one in several]
    errors = np.array([[one.errors for one in several] for several in heard])  # seeds, recordings, 4
    found = np.array([[one.found for one in several] for several in heard])
    clusters = f"{len(every)} recordings"
    figures = []
    if every[0].speakers > 1:
        figures.append(_rate(f"{name}, number given", "DER, %", errors, (0, 1, 2), clusters))
        figures.append(_rate(f"{name}, number given", "confusion, %", errors, (2,), clusters))
        shares = [100 * float(np.median(one[:, 2] / one[:, 3])) for one in errors]
        figures.append(make_figure(f"{name}, number given", "median confusion, %", shares))
    right = [100 * float(np.mean([one.count == one.speakers for one in several])) for several in heard]
    figures.append(_rate(f"{name}, number found", "DER, %", found, (0, 1, 2), clusters))
    figures.append(make_figure(f"{name}, number found", "right number of speakers, %", right))
    return figures


def _rate(name: str, metric: str, errors: Any, columns: Sequence[int], clusters: str) -> Figure:
    """Share of the speech, all recordings together, with an interval that resamples recordings."""
    values = [100 * float(one[:, columns].sum() / one[:, 3].sum()) for one in errors]
    flat, rng = errors.reshape(-1, errors.shape[-1]), np.random.default_rng(0)
    draws = flat[rng.integers(0, len(flat), (2000, len(flat)))]
    low, high = np.percentile(100 * draws[:, :, columns].sum((1, 2)) / draws[:, :, 3].sum(1), [2.5, 97.5])
    return make_figure(name, metric, values, low=float(low), high=float(high), clusters=clusters)


def warning_figures(heard: Sequence[Heard]) -> list[Figure]:
    """Confusion in recordings of two and three speakers with and without the warning, and how many have it."""
    several = [one for one in heard if one.speakers > 1]
    warned = [one for one in several if one.confidence < SURE]
    parts = {"with the warning": warned, "without the warning": [one for one in several if one.confidence >= SURE]}
    name = "recordings of the corpora that nothing was chosen on"
    figures = [make_figure(f"{name}, with the warning", "share, %", [100 * len(warned) / len(several)])]
    for told, part in parts.items():
        if part:
            errors = np.array([[one.errors for one in part]])
            figures.append(_rate(f"{name}, {told}", "confusion, %", errors, (2,), f"{len(part)} recordings"))
    return figures


def measure_corpus(
    corpus: str, options: Options, networks: Networks, scorer: Scorer | None
) -> Mapping[str, list[list[Heard]]]:
    """All conditions of a corpus: for each name one list of recordings a seed."""
    found: dict[str, list[list[Heard]]] = {}
    for calm in (True, False):
        for speakers in (1, 2, 3):
            own = scorer if speakers == 2 and not calm else None
            told = f"{corpus}, {'calm' if calm else 'acted emotions'}, {speakers} speaker{'s' if speakers > 1 else ''}"
            for seed in options.seeds:
                given = recordings_of(corpus, options, calm=calm, speakers=speakers, seed=seed)
                found.setdefault(told, []).append(
                    [hear(*one, networks, speakers, own) for one in progress(list(given), told)]
                )
    return found


def run(options: Options, folder: Path, segmentation: Path, corpora: Sequence[str] = REPORTED) -> Result:
    """All conditions of some corpora."""
    begun, networks = time.monotonic(), open_networks(segmentation)
    scorer, figures, unseen = Scorer(Model(folder, threads=options.threads), COMPLETE), list[Figure](), list[Heard]()
    seconds = np.zeros(2)
    for corpus in corpora:
        heard = measure_corpus(corpus, options, networks, scorer if corpus in REPORTED else None)
        for name, several in heard.items():
            chosen = " (constants chosen on this corpus)" if corpus in CHOSEN_ON else ""
            figures += figures_of(f"{name}{chosen}", several)
            every = [one for part in several for one in part]
            seconds += np.sum([one.seconds for one in every], axis=0)
            unseen += every if corpus in REPORTED else []
            scored = [[one.scored for one in part if one.scored is not None] for part in several]
            if all(scored):
                figures += [system_figure(name, system, scored) for system in SYSTEMS]
                figures += [gain_figure(name, pair, scored) for pair in GAINS]
    figures += warning_figures(unseen) if unseen else []
    figures.append(
        make_figure("diarisation, one thread", "computing time / length, %", [float(100 * seconds[0] / seconds[1])])
    )
    result = Result(
        name="diarise",
        title="Diarisation of recordings of one channel, and each speaker's own baseline",
        protocol=f"Clips of a corpus are joined to recordings of one, two or three speakers, at most {CLIPS} clips "
        "each, in random order. Pauses last up to 1.2 s, and speakers overlap by up to 0.5 s. Calm: clips of "
        "neutral speech (RAVDESS: also calm). Acted emotions: anger, happiness, neutral, sadness, so that each clip of "
        "a speaker has another one. True turns are the clips' speech, as the voice activity detector finds it in each "
        "clip alone. Errors are those of the pieces that `bimodal recognize --speakers` recognises, by "
        f"pyannote.metrics, collar {COLLAR:g} s, overlap counted. Emotion: UAR over these pieces of the packaged "
        "model, which learnt from neither RAVDESS nor emotiontts_ko; truth is the clip that a piece covers most.",
        licence="RAVDESS CC BY-NC-SA 4.0, emotiontts_ko CC BY-NC-SA 4.0, EmoDB CC0, CREMA-D ODbL 1.0",
        seeds=options.seeds,
        figures=tuple(figures),
        quoted=(),
        notes=(
            "Real conversations differ: their voices come from one room and one microphone, and nobody acts another "
            "emotion at each turn. No corpus of real conversations with audio is at hand.",
            "The same detector finds the true turns and the pieces, so missed speech and false alarms come out a "
            "little too well. Confusion does not depend on it.",
        ),
        tried=TRIED,
        target="own baseline of found speakers 5 to 8 points above none",
        config="",
        settings={
            "model": msgspec.to_builtins(scorer.model.config.revision),
            "apart": naming.APART,
            "sharpness": naming.SHARPNESS,
            "sure": SURE,
        },
        minutes=(time.monotonic() - begun) / 60,
    )
    gains = [one for one in figures if one.metric == "UAR" and " - " in one.system]
    return save_result(result, options, "; ".join(f"{one.system} {one.mean:+.1f}" for one in gains))


def main() -> None:
    parser = options_parser(__doc__ or "")
    beside = ROOT.parent / "shared" / "models" / "speaker-segmentation" / "segmentation-3.0.int8.onnx"
    named = Path(os.environ.get("BIMODAL_SEGMENTATION", beside))
    packaged = ROOT / "models" / "src" / "bimodal_models" / "permissive"
    parser.add_argument("--segmentation", type=Path, default=named, help=f"segmentation network (default {named})")
    parser.add_argument("--model", type=Path, default=packaged, help="model folder (default the packaged one)")
    every = (*REPORTED, *CHOSEN_ON)
    parser.add_argument("--corpora", nargs="+", choices=every, default=list(REPORTED), help="corpora to join clips of")
    found = parser.parse_args()
    run(to_options(found), found.model, found.segmentation, found.corpora)


if __name__ == "__main__":
    main()
