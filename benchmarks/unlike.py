"""What the packaged model calls unlike its training data: clips of unseen corpora, and noises.

`--model FOLDER` names another model folder.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.acted import progress
from benchmarks.default_models import complete_rows, read_model_options, source_of
from benchmarks.record import Figure, Options, Result, make_figure, save_result
from bimodal.audio.decode import SAMPLING_RATE, load_signal
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


def run(options: Options, folder: Path) -> Result:
    """Two unseen corpora and the noises."""
    begun, model = time.monotonic(), Model(folder, threads=1)
    listed = {}
    for name in ("ravdess", "emotiontts"):
        place = source_of(name, options)
        listed[name] = [place / str(row.path) for row in complete_rows(name, place)]
    listed["noises and rooms"] = sorted((options.data / NOISES).rglob("*.flac"))
    figures: list[Figure] = []
    for name, files in listed.items():
        values = distances(model, files, name)
        told = f"{name}, {len(values)} clips"
        figures += [
            make_figure(told, f"{what}, %", [100 * float((values > limit).mean())])
            for what, limit in (("told to be unlike", UNLIKE), ("above 1", 1.0))
        ]
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
        tried=("A limit of 1, as before; see the lines `above 1`.",),
        target="at most 5 % of an ordinary corpus, nearly all noises",
        config="",
        settings={"model": model.config.revision},
        minutes=(time.monotonic() - begun) / 60,
        command="python -m benchmarks.unlike",
    )
    shown = [one for one in figures if one.metric.startswith("told")]
    return save_result(result, options, "; ".join(f"{one.system} {one.mean:.1f} %" for one in shown))


if __name__ == "__main__":
    run(*read_model_options(__doc__ or ""))
