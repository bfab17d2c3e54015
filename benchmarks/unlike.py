"""What the packaged model calls unlike its training data: clips of unseen corpora, and noises.

`--model FOLDER` names another model folder.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.acted import progress
from benchmarks.default_models import COMPLETE, FOLDERS, PACKAGES, in_ekman7
from benchmarks.record import Figure, Options, Result, make_figure, options_parser, save_result, to_options
from bimodal.audio.decode import SAMPLING_RATE, load_signal
from bimodal.data.corpora import CORPORA
from bimodal.features.ood import UNLIKE, ood_score
from bimodal.features.pooling import pool
from bimodal.inference.model import Model

NOISES = "noise_rir"


def distances(model: Model, files: Sequence[Path], name: str) -> Any:
    """Distance of each file's voice from the training data, (N,), also where no speech is found."""
    found = []
    for file in progress(files, name):
        frames = model.encode_frames(load_signal(file)[: 10 * SAMPLING_RATE])
        if frames is not None:  # neither silent nor too short
            found.append(pool(frames, model.pooling))
    return ood_score(np.stack(found), model.ood_stats["speech"])


def run(options: Options, folder: Path = PACKAGES["permissive"] / "permissive") -> Result:
    """Two unseen corpora and the noises."""
    begun, model = time.monotonic(), Model(folder, threads=1)
    listed = {}
    for name in ("ravdess", "emotiontts"):
        place = options.data / FOLDERS.get(name, name)
        listed[name] = [
            place / str(row.path) for row in in_ekman7(CORPORA[name].prepare(place)) if row.emotion in COMPLETE
        ]
    listed["noises and rooms"] = sorted((options.data / NOISES).rglob("*.flac"))
    figures: list[Figure] = []
    for name, files in listed.items():
        values = distances(model, files, name)
        told = f"{name}, {len(values)} clips"
        figures.append(make_figure(told, "told to be unlike, %", [100 * float((values > UNLIKE).mean())]))
        figures += [
            make_figure(told, f"distance, percentile {rank}", [float(np.percentile(values, rank))])
            for rank in (5, 50, 95)
        ]
    result = Result(
        name="unlike",
        title="Warnings of a voice unlike the training data",
        protocol=f"The packaged model `permissive`. A warning stands above a distance of {UNLIKE:g}; 1 holds 99 % of "
        "the training clips. Noises are scored here even where no speech is found. `bimodal recognize` gives no answer "
        "there.",
        licence="RAVDESS and emotiontts_ko CC BY-NC-SA 4.0; noises Apache-2.0, MIT, some CC BY-NC",
        seeds=(0,),
        figures=tuple(figures),
        quoted=(),
        notes=("The limit was chosen on these files, so the figures are development figures.",),
        tried=("A limit of 1: 46 % of RAVDESS and 75 % of emotiontts_ko were told to be unlike.",),
        target="at most 5 % of an ordinary corpus, nearly all noises",
        config="",
        settings={"model": model.config.revision},
        minutes=(time.monotonic() - begun) / 60,
        command="python -m benchmarks.unlike",
    )
    shown = [one for one in figures if one.metric.startswith("told")]
    return save_result(result, options, "; ".join(f"{one.system} {one.mean:.1f} %" for one in shown))


def main() -> None:
    parser = options_parser(__doc__ or "")
    parser.add_argument("--model", type=Path, default=PACKAGES["permissive"] / "permissive", help="model folder")
    found = parser.parse_args()
    run(to_options(found), found.model)


if __name__ == "__main__":
    main()
