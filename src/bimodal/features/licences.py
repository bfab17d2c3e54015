"""Licences as SPDX names them (https://spdx.org/licenses): what a person types, and what the Hub's cards say."""

import re
from difflib import get_close_matches
from typing import Final

from bimodal.errors import BackboneError
from bimodal.records import printable, shortened

_REFERENCE: Final = "LicenseRef-"
_NEAR: Final = 0.5  # similarity of names, 0 to 1


def canonical_licence(text: str) -> str:
    """An SPDX expression as SPDX writes it.

    Args:
        text: An identifier, such as `mit`, an expression with AND, OR and WITH, or `LicenseRef-` and a name of its own.

    Raises:
        BackboneError: It is none; the sentence names the nearest identifiers.

    Example:
        >>> canonical_licence("apache-2.0"), canonical_licence("mit or LicenseRef-ours")
        ('Apache-2.0', 'MIT OR LicenseRef-ours')
    """
    try:
        from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
    except ModuleNotFoundError as error:  # older than 24.2
        raise BackboneError("licences need packaging 24.2: pip install 'bimodal-emotion[finetune]'") from error
    try:
        return str(canonicalize_license_expression(text.strip()))
    except InvalidLicenseExpression as error:
        near = nearest_licences(text)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        raise BackboneError(
            f"licence '{shortened(printable(' '.join(text.split())), 60)}': no SPDX identifier; {meant}expected one of "
            f"spdx.org/licenses, such as Apache-2.0, or {_REFERENCE}NAME for a licence of its own"
        ) from error


def nearest_licences(text: str, count: int = 2) -> list[str]:
    """SPDX identifiers that look like a text, the nearest first.

    Example:
        >>> nearest_licences("Apache 2.0")[0], nearest_licences("cc by nc 4.0")[0], nearest_licences("?")
        ('Apache-2.0', 'CC-BY-NC-4.0', [])
    """
    from packaging.licenses._spdx import LICENSES  # its public functions do not list them

    found = get_close_matches(re.sub(r"[\s_]+", "-", text.strip().lower())[:60], LICENSES, count, _NEAR)
    return [LICENSES[name]["id"] for name in found]


def licence_of_card(name: str) -> str:
    """The licence that a card of the Hub names: as SPDX writes it, or as a reference where SPDX has none of that name.

    Example:
        >>> licence_of_card("apache-2.0"), licence_of_card("openrail"), licence_of_card("other")
        ('Apache-2.0', 'LicenseRef-openrail', '')
    """
    if name.lower() in ("other", "unknown", ""):
        return ""
    try:
        return canonical_licence(name)
    except BackboneError:
        return _REFERENCE + re.sub(r"[^A-Za-z0-9.-]+", "-", name)
