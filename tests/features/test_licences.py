"""Licences are those of SPDX; what is near is named."""

import pytest

from bimodal.errors import BackboneError
from bimodal.features.licences import canonical_licence, licence_of_card, nearest_licences


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (" mit ", "MIT"),
        ("cc-by-nc-sa-4.0", "CC-BY-NC-SA-4.0"),
        ("apache-2.0 or mit", "Apache-2.0 OR MIT"),
        ("GPL-3.0-only WITH Classpath-exception-2.0", "GPL-3.0-only WITH Classpath-exception-2.0"),
        ("LicenseRef-house", "LicenseRef-house"),
    ],
)
def test_an_expression_is_written_as_spdx_writes_it(typed, told):
    assert canonical_licence(typed) == told


@pytest.mark.parametrize("typed", ["", "free", "LicenseRef-", "MIT OR", "x" * 5000, "MIT\nMIT", "(" * 2000])
def test_any_other_text_is_one_sentence(typed):
    with pytest.raises(BackboneError) as caught:
        canonical_licence(typed)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("typed", "first"), [("Apache 2.0", "Apache-2.0"), ("cc_by_4.0", "CC-BY-4.0"), ("bsd 3 clause", "BSD-3-Clause")]
)
def test_the_nearest_identifier_is_found(typed, first):
    assert nearest_licences(typed)[0].startswith(first)


@pytest.mark.parametrize(
    ("card", "told"),
    [("mit", "MIT"), ("bsd-3-clause", "BSD-3-Clause"), ("unlicense", "Unlicense"), ("llama3.1", "LicenseRef-llama3.1"),
     ("other", ""), ("Unknown", ""), ("", "")],
)  # fmt: skip
def test_a_card_names_a_licence_of_spdx_or_one_of_its_own(card, told):
    assert licence_of_card(card) == told
