"""Networks that the gate is compared with: an absent side has no say, late fusion is the mean of the log scores."""

import pytest
import torch

from bimodal.models.fusions.reference import ConcatenationNetwork, ExpertsNetwork

EMOTIONS, SPEECH, TEXT = 4, 6, 5
WIDTHS = {"speech_width": SPEECH, "text_width": TEXT, "emotions": EMOTIONS}


def networks() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    found = {
        "concatenation": ConcatenationNetwork(**WIDTHS, embedding_width=7, dropout=0.1, modality_dropout=0.3),
        "experts": ExpertsNetwork(**WIDTHS, late=False),
        "late": ExpertsNetwork(**WIDTHS, late=True),
    }
    for network in found.values():
        network.set_prior(torch.tensor([4.0, 3.0, 2.0, 1.0]))
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.data.add_(0.5 * torch.randn_like(parameter))
    return found


def inputs(present: list[list[float]]) -> dict[str, torch.Tensor]:
    size = len(present)
    sides = {"speech": SPEECH, "speech_logits": EMOTIONS, "text": TEXT, "text_logits": EMOTIONS}
    return {name: torch.randn(size, width) for name, width in sides.items()} | {"present": torch.tensor(present)}


@pytest.mark.parametrize("kind", ["concatenation", "experts", "late"])
@pytest.mark.parametrize(("side", "present", "gate"), [("speech", [0.0, 1.0], 0.0), ("text", [1.0, 0.0], 1.0)])
def test_what_stands_in_place_of_an_absent_side_does_not_matter(kind, side, present, gate):
    fusion, given = networks()[kind].eval(), inputs([present] * 3)
    with torch.inference_mode():
        before = fusion(**given)
        given[side], given[f"{side}_logits"] = torch.full_like(given[side], 50.0), torch.randn(3, EMOTIONS) * 30
        after = fusion(**given)
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)
    assert before[2].tolist() == [gate] * 3
    assert before[0].norm(dim=1) == pytest.approx(torch.ones(3), abs=1e-5)


def test_late_fusion_is_the_mean_of_the_log_scores_and_experts_start_as_their_product_over_the_prior():
    given = inputs([[1.0, 1.0]] * 3)
    speech, text = (torch.log_softmax(given[f"{side}_logits"], 1) for side in ("speech", "text"))
    fresh = ExpertsNetwork(**WIDTHS, late=False)
    fresh.set_prior(torch.tensor([4.0, 3.0, 2.0, 1.0]))
    prior = torch.log(torch.tensor([0.4, 0.3, 0.2, 0.1]))
    with torch.inference_mode():
        assert networks()["late"](**given)[1] == pytest.approx((speech + text) / 2, abs=1e-6)
        assert fresh(**given)[1] == pytest.approx(speech + text - prior, abs=1e-5)
