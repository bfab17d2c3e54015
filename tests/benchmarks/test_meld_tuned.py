"""What the tuned benchmark of MELD stands on: weights read back from 8 bits, prosody beside what came before."""

import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModel

from benchmarks.prosody import KNOWN_AFTER, with_history
from benchmarks.read_back import read_back
from bimodal.errors import BackboneError
from bimodal.features.backbone import BackboneDescription
from bimodal.features.build_backbone import build_text_backbone
from bimodal.records import Utterance


@pytest.fixture(scope="module")
def lively_bert(tiny_bert, tmp_path_factory):
    """No two arrays alike, as in any trained encoder; the exporter stores equal ones once."""
    folder = shutil.copytree(tiny_bert, tmp_path_factory.mktemp("lively") / "bert")
    encoder = AutoModel.from_pretrained(folder, add_pooling_layer=False)
    torch.manual_seed(1)
    with torch.no_grad():
        for value in encoder.parameters():
            value.add_(0.05 * torch.randn_like(value))
    encoder.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def built(lively_bert, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "text"
    described = BackboneDescription(
        name="tiny",
        kind="text",
        source="tiny",
        licence="CC0",
        layers=(1, 2),
        width=64,
        weights="int8",
        preprocessing="",
    )
    build_text_backbone(str(lively_bert), out, described, "int8")
    return out


def test_an_encoder_read_back_is_the_one_that_was_packed_to_its_8_bits(built, lively_bert, tmp_path):
    found, packed = (
        AutoModel.from_pretrained(folder, add_pooling_layer=False).state_dict()
        for folder in (read_back(built, str(lively_bert), tmp_path / "out"), lively_bert)
    )
    assert found.keys() == packed.keys()
    for name, value in packed.items():
        assert torch.allclose(found[name], value, atol=0.51 * value.abs().max().item() / 127)
    assert any(not torch.equal(found[name], value) for name, value in packed.items())


def test_an_encoder_of_another_shape_is_refused(built, lively_bert, tmp_path):
    AutoModel.from_pretrained(lively_bert, num_hidden_layers=1).save_pretrained(tmp_path / "short")
    with pytest.raises(BackboneError, match="another shape"):
        read_back(built, str(tmp_path / "short"), tmp_path / "out")


def utterances(values, speakers) -> list[Utterance]:
    return [
        Utterance(id=str(row), dialogue="d", speaker=speaker, transcript="Well.", extra={"pros_pitch": str(value)})
        for row, (value, speaker) in enumerate(zip(values, speakers, strict=True))
    ]


def column(changed, name: str) -> np.ndarray:
    return np.array([float(one.extra[name] or "nan") for one in changed])


def test_prosody_is_told_beside_the_speakers_own():
    rng = np.random.default_rng(0)
    values, speakers = rng.normal(100, 5, 400), ["ann", "bob"] * 200
    values[1::2] += 80
    own = column(with_history(utterances(values, speakers), "pros_*", range(300)), "pros_pitch_own")
    for first in (0, 1):
        heard = values[first:300:2]
        known = 150 / (150 + KNOWN_AFTER)
        everyone = values[:300]
        assert own[first::2].mean() == pytest.approx(
            ((values[first::2].mean() - everyone.mean()) - known * (heard.mean() - everyone.mean()))
            / everyone.std()
            / np.sqrt(1 + known * (heard.var() / everyone.var() - 1)),
            abs=1e-3,
        )


def test_prosody_before_looks_back_alone_and_at_no_label():
    values, speakers = [1.0, 2.0, 4.0, 8.0, 3.0, "nan"], ["ann", "bob", "ann", "cat", "ann", "bob"]
    rows = utterances(values, speakers)
    whole = with_history(rows, "pros_*", range(4))
    own, before = (column(whole, f"pros_pitch_{kind}") for kind in ("own", "before"))
    assert before[0] == 0
    assert before[4] == pytest.approx(own[1:4].mean(), abs=1e-5)
    assert np.isnan(own[5])
    assert np.isfinite(before).all()
    cut = with_history(rows[:4], "pros_*", range(4))
    assert [one.extra for one in cut] == [one.extra for one in whole[:4]]
