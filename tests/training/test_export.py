"""Exported graphs give what torch gives, for any number of utterances."""

import re

import numpy as np
import pytest
import torch

from bimodal.data.batches import Window, pad_windows
from bimodal.errors import BackboneError, ModelFolderError
from bimodal.models.fusions.gate import FusionNetwork
from bimodal.models.fusions.plain_words import PlainWordsNetwork
from bimodal.models.fusions.reference import ConcatenationNetwork, ExpertsNetwork
from bimodal.models.layers import HeadShape
from bimodal.models.speech import ColumnsNetwork, SpeechNetwork
from bimodal.models.text import ContextTextNetwork, TextNetwork
from bimodal.runtime import make_session
from bimodal.training import export
from bimodal.training.export import OUTPUTS, export_network, fusion_example

SHAPE = HeadShape(
    ensemble_size=2,
    hidden_width=8,
    embedding_width=5,
    input_dropout=0.2,
    dropout=0.3,
    input_noise_std=0.1,
    embedding_norm=4.0,
)
EMOTIONS = 3
FUSIONS = ("fusion", "concatenation", "experts", "late", "plain_words")


def networks() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    widths = {"speech_width": 10, "text_width": 10, "emotions": EMOTIONS}
    return {
        "concatenation": ConcatenationNetwork(**widths, embedding_width=7, dropout=0.1, modality_dropout=0.3),
        "experts": ExpertsNetwork(**widths, late=False),
        "late": ExpertsNetwork(**widths, late=True),
        "plain_words": PlainWordsNetwork(**widths, plain_words_prob=0.9, text_exponent=2.0),
        "speech": SpeechNetwork(statistics=2, layers=2, width=6, emotions=EMOTIONS, pca_components=9, shape=SHAPE),
        "columns": ColumnsNetwork(width=4, emotions=EMOTIONS, shape=SHAPE),
        "text": TextNetwork(layers=2, width=6, emotions=EMOTIONS, shape=SHAPE),
        "context": ContextTextNetwork(layers=2, width=6, emotions=EMOTIONS, context=3, context_width=8, shape=SHAPE),
        "fusion": FusionNetwork(
            speech_width=10,
            text_width=10,
            emotions=EMOTIONS,
            hidden_width=8,
            embedding_width=7,
            dropout=0.1,
            modality_dropout=0.3,
        ),
    }


def inputs(stage: str, size: int, network: torch.nn.Module) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(size)
    if stage in FUSIONS:
        example = fusion_example(network, EMOTIONS)
        return {name: np.tile(array, (size, 1))[:size] for name, array in example.items()}
    if stage == "text":
        return {"pooled": rng.normal(size=(size, 2, 6)).astype(np.float32)}
    if stage == "context":
        windows = [rng.normal(size=(1 + row % 4, 2, 6)).astype(np.float32) for row in range(size)]
        return pad_windows([Window(pooled=window, same=[True] * len(window)) for window in windows], 4)
    if stage == "columns":
        columns = rng.normal(size=(size, 4)).astype(np.float32)
        columns[0, 1] = np.nan
        return {"columns": columns}
    return {"statistics": rng.normal(size=(size, 2, 2, 6)).astype(np.float32)}


@pytest.mark.parametrize("name", ["speech", "columns", "text", "context", *FUSIONS])
def test_a_graph_equals_torch_for_other_batch_sizes_and_names_no_path(tmp_path, name):
    network = networks()[name]
    for tensor in [*network.parameters(), *network.buffers()]:
        tensor.data.add_(0.3 * torch.rand_like(tensor))
    stage = ({"columns": "speech", "context": "text"} | dict.fromkeys(FUSIONS, "fusion")).get(name, name)
    file = tmp_path / f"{name}.onnx"
    export_network(network, stage, inputs(name, 3, network), file)
    session = make_session(file, threads=1)
    assert [output.name for output in session.get_outputs()] == list(OUTPUTS[stage])
    for size in (1, 2, 7):
        given = inputs(name, size, network)
        with torch.inference_mode():
            expected = network(**{key: torch.from_numpy(array) for key, array in given.items()})
        for ours, theirs in zip(session.run(None, given), expected, strict=True):
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs.numpy()).max() < 1e-4
    for wrong in (0.01, float("nan")):
        with pytest.raises(ModelFolderError, match="differs from torch by"):
            export._compare(file, given, (expected[0], expected[1] + wrong, *expected[2:]))
    content = file.read_bytes()
    found = re.search(rb"/(tmp|work|home|root|usr)/|site-packages|\w\.py\b", content)
    assert found is None, content[max(0, found.start() - 60) : found.end() + 60]
    assert sorted(tmp_path.iterdir()) == [file]


def test_large_weights_lie_beside_the_graph_and_are_written_anew(tmp_path):
    torch.manual_seed(0)
    network = SpeechNetwork(
        statistics=3, layers=2, width=512, emotions=EMOTIONS, pca_components=100, shape=SHAPE
    ).eval()
    example = {"statistics": np.random.default_rng(0).normal(size=(2, 3, 2, 512)).astype(np.float32)}
    for _ in range(2):
        export_network(network, "speech", example, tmp_path / "speech.onnx")
    graph, weights = (tmp_path / name for name in ("speech.onnx", "speech.weights"))
    assert {file.name for file in tmp_path.iterdir()} == {graph.name, weights.name}
    assert graph.stat().st_size < 100_000 and 1 << 20 < weights.stat().st_size < 3 << 20
    assert graph.stat().st_mode == weights.stat().st_mode
    weights.unlink()
    with pytest.raises(BackboneError, match=r"speech\.onnx: cannot be loaded"):
        make_session(graph)
