"""The fusion of a packaged model, replaced: speech and text networks stay as they are, to the last bit."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from benchmarks.record import RESULTS, Figure, read_result
from bimodal.config import FusionConfig, TrainConfig
from bimodal.files import write_json
from bimodal.inference.model_config import GIVEN, ModelConfig
from bimodal.inference.model_folder import (
    CARD,
    GRAPHS,
    REPORT,
    WEIGHTS,
    load_model_config,
    read_json,
    save_model_config,
)
from bimodal.models.losses.setup import class_weights
from bimodal.training.export import export_network, fusion_example
from bimodal.training.fusion import build_fusion
from bimodal.training.package_model import CONFIG_USED, TrainReport, model_card
from bimodal.training.train import NEUTRAL

FUSION = FusionConfig(kind="plain_words", pairing="label_matched", epochs=0)
FIGURES = "## Figures on data that it was not trained on"
FUSED = ": fused |"
CARD_TEXT = """
## Fusion
Version {version} fuses in closed form, by Bayes' rule; nothing of it is trained (`fusion.kind=plain_words`). Words are
plain with probability m = {m}, whatever the voice expresses. Words whose scores favour neutral change the odds of two
emotions by a factor of {bound:.3f} at most. Disgust, fear and surprise of a model whose voice does not know them win
where the words speak clearly.

m and the exponent g = {g} were found on RAVDESS and emotiontts_ko, so figures of the fusion on these two are
development figures. CREMA-D was looked at, too. No corpus with a free licence has speech and words of one utterance.
So the fused scores have no temperature of their own: they come from the scores of both networks, each with the
temperature that was fitted to it alone. The text network's prior is the share of each emotion in the training data,
nearly all of which are texts, times the weight of the emotion in its loss.
{figures}"""


def replace_fusion(folder: Path, version: str) -> ModelConfig:
    """Give a packaged model the closed fusion; called again, it writes the same files.

    Args:
        folder: Model folder; all files but the speech and text graphs are written again.
        version: Of the model.
    """
    before = load_model_config(folder)
    report = read_json(folder / REPORT, TrainReport)
    network = make_fusion(folder)
    export_network(network, "fusion", fusion_example(network, len(before.emotions)), folder / GRAPHS["fusion"])
    kept = {name: value for name, value in load_file(folder / WEIGHTS).items() if not name.startswith("fusion.")}
    fused = {f"fusion.{name}": value.contiguous() for name, value in network.state_dict().items()}
    save_file(kept | fused, folder / WEIGHTS)
    write_json(folder / CONFIG_USED, replace(read_json(folder / CONFIG_USED, TrainConfig), fusion=FUSION))
    chance = report.dev_chance or round(1 / len(before.emotions), 4)  # the dev rows of both models have all emotions
    report = replace(report, remarks=[], parameters=report.parameters | {"fusion": 0}, dev_chance=chance)
    write_json(folder / REPORT, report)
    after = save_model_config(
        folder, replace(before, fusion_temperatures=(1.0,) * 3, pairing=GIVEN, version=version, files={})
    )
    (folder / CARD).write_text(card_of(after, report, (folder / CARD).read_text(encoding="utf-8")), encoding="utf-8")
    return after


def make_fusion(folder: Path, config: FusionConfig = FUSION) -> Any:
    """The fusion network of a model folder, from what the folder tells of both networks."""
    model, report = load_model_config(folder), read_json(folder / REPORT, TrainReport)
    assert model.speech is not None and model.text is not None  # noqa: S101
    widths = model.speech.embedding_width, model.text.embedding_width
    network: Any = build_fusion(*widths, len(model.emotions), config, seed=0)
    counts = torch.tensor([report.counts[emotion] for emotion in model.emotions])
    weighting = read_json(folder / CONFIG_USED, TrainConfig).text.loss.class_weights
    temperatures = (model.speech.temperature, model.text.temperature)
    prior = counts * class_weights(counts.tolist(), weighting)
    network.set_modalities(temperatures, prior, model.emotions.index(NEUTRAL))
    return network.eval()


def card_of(model: ModelConfig, report: TrainReport, before: str) -> str:
    """The card with what the fusion is; the figures of speech and words stay, those of an earlier fusion go."""
    measured = before[before.index(FIGURES) :] if FIGURES in before else ""
    lines = [line for line in measured.split("\nThe fusion learnt", 1)[0].splitlines() if FUSED not in line]
    kept = "\n".join(lines).split(" The fusion learnt", 1)[0].rstrip()
    told = CARD_TEXT.format(
        version=model.version,
        m=FUSION.plain_words_prob,
        g=FUSION.text_exponent,
        bound=1 / FUSION.plain_words_prob,
        figures=_figures(model.name),
    )
    return f"{model_card(model, report)}{told}\n{kept}\n"


def _figures(name: str) -> str:
    """Rows of `benchmarks.plain_words`, where they were measured with this model."""
    file = RESULTS / "plain_words.json"
    if name != "permissive" or not file.is_file():
        return ""
    head = "\nPercent UAR, `python -m benchmarks.plain_words`:\n\n| what | value | 95 % interval |\n|---|---|---|"
    return "\n".join([head, *_rows(read_result(file).figures), ""])


def _rows(figures: Sequence[Figure]) -> list[str]:
    shown = [one for one in figures if one.metric == "UAR" and "MELD" not in one.system and "m = " not in one.system]
    return [f"| {one.system} | {one.mean:.1f} | {one.low:.1f} to {one.high:.1f} |" for one in shown]
