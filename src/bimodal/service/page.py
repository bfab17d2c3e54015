"""The web page: static files. Its security policy allows requests to this server alone."""

import secrets
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter()

STATIC: Final = Path(__file__).parent / "static"

LANGUAGES: Final = ("en", "de")
"""Languages of the page: a file in `static/texts/` for each. The first one is for everybody else."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self' blob:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@router.head("/", include_in_schema=False)
@router.get("/", include_in_schema=False)
async def page(request: Request) -> HTMLResponse:
    """The page in the language that `?lang=` names, or else in the one that the browser prefers."""
    nonce = secrets.token_urlsafe(16)
    asked = request.query_params.get("lang", "")
    language = asked if asked in LANGUAGES else preferred_language(request.headers.get("accept-language", ""))
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    html = html.replace("{{nonce}}", nonce).replace("{{lang}}", language)
    policy = _POLICY.format(nonce=nonce)
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store", "Vary": "Accept-Language"}
    return HTMLResponse(html, headers=headers | {"Content-Language": language})


def preferred_language(accepted: str) -> str:
    """The language of the page for a header `Accept-Language` (RFC 9110, 12.5.4).

    Example:
        >>> preferred_language("de-AT,de;q=0.9,en;q=0.8"), preferred_language("fr, de;q=0.2, en;q=0.7")
        ('de', 'en')
        >>> preferred_language("de;q=0"), preferred_language("rubbish;;q=x")
        ('en', 'en')
    """
    weights: dict[str, float] = {}
    for item in accepted.split(","):
        name, _, rest = item.strip().partition(";")
        language = name.strip().lower().partition("-")[0]
        if language in LANGUAGES:
            weights[language] = max(weights.get(language, 0.0), _weight(rest))
    best = max(weights, key=weights.__getitem__, default=LANGUAGES[0])
    return best if weights.get(best, 0.0) > 0 else LANGUAGES[0]


def _weight(parameter: str) -> float:
    """The q of an item, 0 to 1; 1 without one, 0 for rubbish."""
    name, _, value = parameter.strip().partition("=")
    try:
        weight = float(value) if name.strip().lower() == "q" else 1.0 if not parameter.strip() else 0.0
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
