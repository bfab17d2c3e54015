"""The fusion network: an absent side has no say, training starts at late fusion."""

import pytest
import torch

from bimodal.models.fusions.gate import FusionNetwork, drop_modalities
from bimodal.models.layers import UNKNOWN

EMOTIONS, SPEECH, TEXT = 4, 6, 5
NAMES = ("speech", "speech_logits", "text", "text_logits")


def network(modality_dropout: float = 0.0) -> FusionNetwork:
    torch.manual_seed(0)
    return FusionNetwork(
        speech_width=SPEECH,
        text_width=TEXT,
        emotions=EMOTIONS,
        hidden_width=8,
        embedding_width=7,
        dropout=0.0,
        modality_dropout=modality_dropout,
    ).eval()


def trained(**options) -> FusionNetwork:
    """A network none of whose parameters is at its start."""
    fusion = network(**options)
    for parameter in fusion.parameters():
        parameter.data.add_(0.5 * torch.randn_like(parameter))
    return fusion


def inputs(present: list[list[float]], seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    size, widths = len(present), (SPEECH, EMOTIONS, TEXT, EMOTIONS)
    sides = {name: torch.randn(size, width) for name, width in zip(NAMES, widths, strict=True)}
    for name in ("speech", "text"):
        sides[name] = torch.nn.functional.normalize(sides[name], dim=1)
    return sides | {"present": torch.tensor(present)}


@pytest.mark.parametrize(("side", "present", "gate"), [("speech", [0.0, 1.0], 0.0), ("text", [1.0, 0.0], 1.0)])
def test_what_stands_in_place_of_an_absent_side_does_not_matter(side, present, gate):
    fusion, given = trained(), inputs([present] * 3)
    with torch.inference_mode():
        before = fusion(**given)
        given[side], given[f"{side}_logits"] = torch.full_like(given[side], 50.0), torch.randn(3, EMOTIONS) * 30
        after = fusion(**given)
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one, other)
    assert before[2].tolist() == [gate] * 3


@pytest.mark.parametrize(("present", "side"), [([1.0, 0.0], "speech_logits"), ([0.0, 1.0], "text_logits")])
def test_a_single_side_passes_through_whatever_was_learnt_of_pairs(present, side):
    fusion, given = trained(), inputs([present] * 3)
    with torch.inference_mode():
        logits = fusion(**given)[1]
    assert logits == pytest.approx(torch.log_softmax(given[side], 1), abs=1e-5)


def test_training_starts_at_late_fusion():
    given = inputs([[1.0, 1.0]] * 6)
    with torch.inference_mode():
        _, logits, gate = network()(**given)
    late = torch.softmax(given["speech_logits"], 1) * torch.softmax(given["text_logits"], 1)
    assert torch.softmax(logits, 1) == pytest.approx(late / late.sum(1, keepdim=True), abs=1e-5)
    assert gate.tolist() == [0.5] * 6


def test_late_fusion_at_the_start_divides_by_the_prior():
    given, fusion = inputs([[1.0, 1.0]] * 6), network()
    fusion.set_prior(torch.tensor([60, 25, 15, 0]))
    prior = torch.tensor([60, 25, 15, 1]) / 101
    with torch.inference_mode():
        logits = fusion(**given)[1]
    late = torch.softmax(given["speech_logits"], 1) * torch.softmax(given["text_logits"], 1) / prior
    assert torch.softmax(logits, 1) == pytest.approx(late / late.sum(1, keepdim=True), abs=1e-5)


def test_a_side_that_knows_the_prior_only_changes_nothing_at_the_start():
    given, fusion = inputs([[1.0, 1.0]] * 6), network()
    fusion.set_prior(torch.tensor([60, 25, 15, 5]))
    given["speech_logits"] = fusion.log_prior.expand(6, -1)
    with torch.inference_mode():
        logits = fusion(**given)[1]
    assert torch.softmax(logits, 1) == pytest.approx(torch.softmax(given["text_logits"], 1), abs=1e-5)


def test_an_emotion_that_the_voice_was_never_shown_is_left_to_the_words():
    given, fusion = inputs([[1.0, 1.0]] * 6), network()
    fusion.set_prior(torch.tensor([60, 25, 15, 5]))
    given["speech_logits"] = torch.cat([given["speech_logits"][:, :3], torch.full((6, 1), UNKNOWN)], dim=1)
    with torch.inference_mode():
        both = torch.softmax(fusion(**given)[1], 1)
        alone = torch.softmax(fusion(**given | {"present": torch.tensor([[1.0, 0.0]] * 6)})[1], 1)
    prior, words = fusion.log_prior.exp(), torch.softmax(given["text_logits"], 1)
    voice = torch.softmax(given["speech_logits"], 1) * (1 - prior[3])
    voice[:, 3] = prior[3]
    late = voice * words / prior
    assert both == pytest.approx(late / late.sum(1, keepdim=True), abs=1e-5)
    assert bool((alone[:, 3] < 1e-6).all())


def test_the_embedding_has_unit_length_and_the_gate_lies_between_0_and_1():
    given = inputs([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]] * 3)
    with torch.inference_mode():
        embedding, logits, gate = trained()(**given)
    assert embedding.norm(dim=1) == pytest.approx(torch.ones(9), abs=1e-5)
    assert torch.isfinite(logits).all()
    both = gate[::3]
    assert bool(((both > 0) & (both < 1)).all())
    assert len(set(both.tolist())) == 3


def test_rows_do_not_depend_on_one_another():
    fusion, given = trained(), inputs([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    with torch.inference_mode():
        together = fusion(**given)
        for row in range(3):
            single = fusion(**{name: tensor[row : row + 1] for name, tensor in given.items()})
            for one, all_ in zip(single, together, strict=True):
                assert torch.allclose(one[0], all_[row], atol=1e-5)


def test_dropping_modalities_leaves_every_row_a_side_and_takes_both_evenly():
    torch.manual_seed(0)
    present = torch.tensor([[1.0, 1.0]] * 4000 + [[1.0, 0.0]] * 100 + [[0.0, 1.0]] * 100)
    dropped = drop_modalities(present, 0.5)
    assert dropped.sum(1).min() == 1
    assert torch.equal(dropped[4000:], present[4000:])
    assert float((dropped[:4000] == 0).any(1).float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float((dropped[:4000, 0] == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert torch.equal(drop_modalities(present, 0.0), present)


def test_modalities_are_dropped_in_training_only():
    fusion, given = trained(modality_dropout=1.0), inputs([[1.0, 1.0]] * 20)
    assert set(fusion.train()(**given)[2].tolist()) == {0.0, 1.0}
    assert not {0.0, 1.0} & set(fusion.eval()(**given)[2].tolist())


def test_words_of_confidence_0_leave_the_voice_alone_and_those_of_1_are_given_words():
    fusion, given = trained(), inputs([[1.0, 0.0], [1.0, 1.0]] * 2)
    with torch.inference_mode():
        plain = fusion(**given)[1]
        unsure = fusion(**given | {"present": torch.tensor([[1.0, 1e-6], [1.0, 1 - 1e-6]] * 2)})[1]
    assert torch.allclose(plain, unsure, atol=1e-4)


def test_the_less_sure_the_words_the_less_they_move_the_answer():
    fusion, given = network(), inputs([[1.0, 1.0]])
    answers = []
    with torch.inference_mode():
        for trust in (0.0, 0.25, 0.5, 0.75, 1.0):
            given["present"] = torch.tensor([[1.0, trust]])
            answers.append(fusion(**given)[1])
        unsure, sure = (fusion(**given | {"present": torch.tensor([[1.0, trust]])})[2] for trust in (0.2, 0.8))
    moved = [float((answer - answers[0]).norm()) for answer in answers]
    assert moved == sorted(moved) and moved[1] > 0 and unsure > sure


def test_training_can_start_at_any_product_of_experts():
    given, fusion = inputs([[1.0, 1.0]] * 6), network()
    fusion.set_prior(torch.tensor([60, 25, 15, 5]))
    speech, text = (torch.log_softmax(given[f"{side}_logits"], 1) - fusion.log_prior for side in ("speech", "text"))
    for a, b in ((0.8, 0.2), (1.3, 1.3), (0.1, 0.7)):
        fusion.start_at(a, b)
        with torch.inference_mode():
            logits = fusion(**given)[1]
        assert logits == pytest.approx(fusion.log_prior + a * speech + b * text, abs=1e-5)
