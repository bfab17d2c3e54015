"""The web page: static files. Its security policy allows requests to this server alone."""

import secrets
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter()

STATIC: Final = Path(__file__).parent / "static"

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self' blob:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@router.head("/", include_in_schema=False)
@router.get("/", include_in_schema=False)
async def page() -> HTMLResponse:
    """The page. Style sheets that a library adds need the nonce."""
    nonce = secrets.token_urlsafe(16)
    html = (STATIC / "index.html").read_text(encoding="utf-8").replace("{{nonce}}", nonce)
    return HTMLResponse(
        html, headers={"Content-Security-Policy": POLICY.format(nonce=nonce), "Cache-Control": "no-store"}
    )
