"""A model folder with the fitted head inside its speech graph: what `bimodal recognize -m` loads like any other."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError

from bimodal.arrays import Floats
from bimodal.errors import LabellingError, ModelFolderError
from bimodal.features.ood import fit_ood_stats, save_ood_stats
from bimodal.files import atomic_write, write_bytes
from bimodal.inference.model import Model
from bimodal.inference.model_folder import (
    CARD,
    GRAPHS,
    LABELS,
    OOD_STATS,
    PREDICTION_SETS,
    REPORT,
    copy_own_backbones,
    save_model_config,
)
from bimodal.inference.seen_rows import SEEN_ROWS, load_seen_rows, save_seen_rows
from bimodal.labelling.head import Head
from bimodal.labelling.learner import Learned
from bimodal.labelling.space import LOWEST, Space, head_inputs
from bimodal.records import Utterance
from bimodal.runtime import make_session

_TOLERANCE: Final = 1e-3
_CLIP: Final = 5.0  # as `bimodal.features.adaptation.standardise`
_SMALLEST_DEVIATION: Final = 1e-3
_CHECKED: Final = 64  # clips
_PARTS: Final = 5


@dataclass(frozen=True, kw_only=True)
class LabelledData:
    """What an exported model learnt from.

    Attributes:
        recordings: Folder of the recordings.
        rows: Its training rows.
        counts: Votes for each emotion.
        statistics: Pooled statistics of all clips of the folder, (N, P, L, D).
    """

    recordings: Path
    rows: Sequence[Utterance]
    counts: Mapping[str, float]
    statistics: Floats


def write_labelled_model(model: Model, learned: Learned, data: LabelledData, out: Path) -> Path:
    """Write a model folder whose speech network is the packaged one with the fitted head.

    With the vocabulary of the packaged model, words and fusion stay. With another one, the new model uses the voice
    alone. Its scores are those of the labelling page, less sure for a recording unlike the others.

    Args:
        model: From which labelling began.
        learned: The head.
        data: What it learnt from.
        out: New folder.

    Raises:
        LabellingError: There are no labels yet.
        ModelFolderError: The folder exists or cannot be written, or the model has speaker statistics.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelFolderError(f"{out}: exists already; name a new folder")
    if not learned.labels:
        raise LabellingError(f"{data.recordings}: no training clip has a label yet; label some, then export the model")
    assert model.config.speech is not None  # noqa: S101
    if model.config.speech.speaker_stats or model.adaptation is not None:
        raise ModelFolderError(
            f"the model '{model.config.name}' uses speaker statistics or is adapted already; label with another model"
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(out) as unfinished:
            unfinished.mkdir()
            _write(model, learned, data, unfinished)
    except (OSError, SafetensorError) as error:
        raise ModelFolderError(f"{out}: cannot be written ({error}); free some space") from error
    return out


def _write(model: Model, learned: Learned, data: LabelledData, out: Path) -> None:
    config, space = model.config, learned.space
    same = space.emotions == config.emotions
    dropped = {GRAPHS["speech"], "speech.weights", PREDICTION_SETS, REPORT, OOD_STATS, SEEN_ROWS}
    dropped |= set() if same else {GRAPHS["text"], GRAPHS["fusion"], "text.weights", "fusion.weights", LABELS}
    for name in config.files:
        if name not in dropped:
            shutil.copyfile(model.folder / name, out / name)
    copy_own_backbones(model.folder, out)
    _save_graph(model, space, learned.head, out / GRAPHS["speech"])
    _check_graph(model, learned, data.statistics[:_CHECKED], out / GRAPHS["speech"])
    known = dict(model.ood_stats) if same else {}
    known["speech"] = fit_ood_stats(data.statistics, np.arange(len(data.statistics)) % _PARTS)
    save_ood_stats(out / OOD_STATS, known)
    save_seen_rows(out, data.rows, data.recordings, before=load_seen_rows(model.folder))
    counts = np.array([data.counts.get(emotion, 0.0) + 1.0 for emotion in space.emotions])
    if not same:
        write_bytes(out / LABELS, _vocabulary(space.emotions).encode())
    told = f"{learned.labels} labelled clips of the user's own recordings, {len(data.statistics)} without labels"
    assert config.speech is not None  # noqa: S101
    new = replace(
        config,
        name=f"{config.name}-labelled",
        emotions=space.emotions,
        vocabulary=config.vocabulary if same else LABELS,
        priors=config.priors if same else tuple((counts / counts.sum()).tolist()),
        speech=replace(config.speech, logit_variance=0.0),
        text=config.text if same else None,
        fusion_temperatures=config.fusion_temperatures if same else (),
        adapted_to=told,
    )
    saved = save_model_config(out, new)
    before = (model.folder / CARD).read_text(encoding="utf-8") if (model.folder / CARD).is_file() else ""
    (out / CARD).write_text(before + _addition(saved.revision, config.revision, learned, data), encoding="utf-8")


def _vocabulary(emotions: Sequence[str]) -> str:
    """An emotion map as TOML."""
    import json

    listed = ", ".join(json.dumps(emotion, ensure_ascii=False) for emotion in emotions)
    return f'name = "labels"\nversion = 1\nemotions = [{listed}]\n'


def _addition(revision: str, before: str, learned: Learned, data: LabelledData) -> str:
    """What the card says of the labels."""
    counts = ", ".join(f"{emotion} {count:g}" for emotion, count in data.counts.items())
    points = learned.curve.points
    figure = "too few of them were labelled for a figure"
    if points:
        last = points[-1].uar
        figure = (
            f"UAR on {learned.curve.tests} labelled test clips, which trained nothing: {100 * last.value:.1f} % "
            f"({100 * last.low:.1f} to {100 * last.high:.1f})"
        )
    return f"""
## Fitted to labels
This is revision {revision}: a linear head on the speech network of revision {before}, fitted to {learned.labels}
labelled clips of the user's own recordings (votes: {counts}) and adapted to {len(data.statistics)} clips without
labels. **The figures above are those of the model before.** Of a random tenth of the clips, drawn beforehand: {figure}.
Speakers may be in both parts. Evaluate the model on speakers of its own before you report a figure. The folder holds
statistics of the recordings (means and deviations, no speech); protect them as you protect the recordings.
"""


@dataclass(kw_only=True)
class _Nodes:
    """Nodes and constants that are added to a graph."""

    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def constant(self, name: str, value: Any, kind: Any = np.float32) -> str:
        """A constant by its name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), f"head.{name}"))
        return f"head.{name}"

    def add(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """A node by the name of its output."""
        from onnx import helper

        output = name if name in ("embedding", "logits") else f"head.{name}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=f"head.{name}.node", **attributes))
        return output


def _save_graph(model: Model, space: Space, head: Head, file: Path) -> None:
    """The speech graph, with the adaptation before it and the head behind it."""
    import onnx

    from bimodal.features.build_backbone import save_graph

    graph = onnx.load(model.folder / GRAPHS["speech"])
    named = {"logits": "base.logits", "statistics": "base.statistics"}
    if space.adaptation is None:
        named.pop("statistics")
    for node in graph.graph.node:
        for names in (node.input, node.output):
            names[:] = [named.get(name, name) for name in names]
    before, behind = _Nodes(), _Nodes()
    standard = _standardise(before, space)
    if space.adaptation is not None:
        _retell(before, standard, space)
    _head(behind, space, head, standard)
    nodes = [*before.nodes, *graph.graph.node, *behind.nodes]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    graph.graph.initializer.extend([*before.constants, *behind.constants])
    del graph.graph.value_info[:]
    logits = next(one for one in graph.graph.output if one.name == "logits")
    logits.type.tensor_type.shape.dim[1].dim_value = len(space.emotions)
    onnx.checker.check_model(graph)
    save_graph(graph, file)


def _standardise(nodes: _Nodes, space: Space) -> str:
    """Standardised statistics (B, P, L, D), as `bimodal.features.adaptation.standardise`."""
    moved = nodes.add("Sub", ["statistics", nodes.constant("mean", space.corpus.mean[None])], "moved")
    scale = nodes.constant("deviation", space.corpus.std[None] + _SMALLEST_DEVIATION)
    ends = [nodes.constant("lowest", -_CLIP), nodes.constant("highest", _CLIP)]
    return nodes.add("Clip", [nodes.add("Div", [moved, scale], "scaled"), *ends], "standard")


def _retell(nodes: _Nodes, standard: str, space: Space) -> None:
    """The statistics that the packaged network sees, as `bimodal.features.adaptation.retell`."""
    from onnx import helper

    assert space.adaptation is not None  # noqa: S101
    scale = nodes.constant("trained_std", space.adaptation.trained_std[None])
    centre = nodes.constant("trained_mean", space.adaptation.trained_mean[None])
    spread = nodes.add("Mul", [standard, scale], "spread")
    nodes.nodes.append(helper.make_node("Add", [spread, centre], ["base.statistics"], name="head.retold.node"))


def _head(nodes: _Nodes, space: Space, head: Head, standard: str) -> None:
    """Logits of the head from the packaged network's outputs, as `head_inputs` and `Head`."""
    flat = nodes.add("Flatten", [standard], "flat", axis=1)
    logits = "base.logits"
    found = space.adaptation
    if found is not None and found.weight.any():
        said = nodes.add("LogSoftmax", [logits], "said", axis=1)
        shift = nodes.add("MatMul", [flat, nodes.constant("correction", found.weight)], "shift")
        summed = nodes.add("Add", [said, shift], "summed")
        biased = nodes.add("Add", [summed, nodes.constant("correction_bias", found.bias)], "biased")
        logits = nodes.add("Div", [biased, nodes.constant("sharpness", found.sharpness)], "corrected")
    cooled = nodes.add("Div", [logits, nodes.constant("temperature", space.temperature)], "cooled")
    scores = nodes.add("LogSoftmax", [cooled], "log_scores", axis=1)
    firm = nodes.add("Max", [scores, nodes.constant("least", LOWEST)], "firm")
    columns = nodes.constant("columns", [max(0, one) for one in space.columns], np.int64)
    taken = nodes.add("Gather", [firm, columns], "taken", axis=1)
    weight = head.settings.prior_weight
    known = np.array([one >= 0 for one in space.columns])
    kept = nodes.add("Mul", [taken, nodes.constant("known", weight * known)], "kept")
    first = space.embedding.basis.shape[1]
    of_embedding = space.embedding.basis @ head.weight[:first]
    of_statistics = space.statistics.basis @ head.weight[first:]
    fixed = head.bias + np.where(known, 0.0, -weight * np.log(len(space.emotions)))
    fixed = fixed - space.embedding.centre @ of_embedding - space.statistics.centre @ of_statistics
    by_embedding = nodes.add("MatMul", ["embedding", nodes.constant("of_embedding", of_embedding)], "by_embedding")
    by_statistics = nodes.add("MatMul", [flat, nodes.constant("of_statistics", of_statistics)], "by_statistics")
    both = nodes.add("Add", [by_embedding, by_statistics], "both")
    shifted = nodes.add("Add", [both, nodes.constant("fixed", fixed)], "shifted")
    total = nodes.add("Add", [kept, shifted], "total")
    told = nodes.add("LogSoftmax", [total], "told", axis=1)
    nodes.add("Mul", [told, nodes.constant("heated", space.temperature)], "logits")


def _check_graph(model: Model, learned: Learned, statistics: Floats, file: Path) -> None:
    """Compare the graph with the head that it holds.

    Raises:
        ModelFolderError: They differ.
    """
    features, prior = head_inputs(model, learned.space, statistics)
    expected = learned.head.scores(features, prior)
    found = make_session(file, threads=1).run(None, {"statistics": statistics})[1] / learned.space.temperature
    difference = float(np.abs(np.exp(found) - expected).max())
    if not difference <= _TOLERANCE:
        raise ModelFolderError(f"{file}: differs from the head by {difference:.2g}, expected at most {_TOLERANCE:g}")
