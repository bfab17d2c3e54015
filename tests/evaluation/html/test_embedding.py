"""Embeddings in two dimensions."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from bimodal.evaluation.html.blocks import LeftOut
from bimodal.evaluation.html.curves import gate_section
from bimodal.evaluation.html.embedding import Embeddings, embed_sample, embedding_section, principal_components


def test_two_components_are_those_of_scikit_learn():
    values = np.random.default_rng(0).normal(size=(50, 6)) * np.arange(1, 7)
    points, shares = principal_components(values)
    fitted = PCA(2).fit(values)
    np.testing.assert_allclose(np.abs(points), np.abs(fitted.transform(values)), atol=1e-9)
    np.testing.assert_allclose(shares, fitted.explained_variance_ratio_)
    assert (points.max(axis=0) >= -points.min(axis=0)).all()


def test_networks_before_and_after_the_fusion_have_a_picture_each(scored, material):
    rng, predictions = np.random.default_rng(0), scored(rows=60)
    arrays = {name: rng.normal(size=(60, 4)).astype(np.float32) for name in ("speech", "text", "fused")}
    arrays["speech"][:5] = np.nan
    arrays["gate"] = np.linspace(0, 1, 60)
    found = Embeddings(rows=np.arange(60), arrays=arrays)
    section = embedding_section(material(predictions), found)
    assert [plot.caption.split(":")[0] for plot in section.blocks] == [
        "speech network",
        "text network",
        "after the fusion",
    ]
    assert "55 utterances" in section.blocks[0].caption
    assert "of 55 utterances" in gate_section(material(predictions), found.gate).lead


@pytest.mark.parametrize("values", [np.full((60, 4), np.nan), np.ones((60, 4)), np.zeros((60, 1))])
def test_embeddings_that_show_nothing_are_left_out(scored, material, values):
    found = Embeddings(rows=np.arange(60), arrays={"speech": values})
    assert isinstance(embedding_section(material(scored(rows=60)), found), LeftOut)


def test_without_a_model_there_are_none_and_it_is_said(scored, material):
    found = embed_sample(material(scored()))
    assert found.gate is None
    assert "no model folder" in embedding_section(material(scored()), found).reason
