"""Scripts, styles and the icon."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from tuner.service.errors import NotFoundError
from tuner.service.page.assets import assets

ROUTER = APIRouter()
_FOR_GOOD = "public, max-age=31536000, immutable"


@ROUTER.get("/static/{name}")
def static(name: str, request: Request) -> Response:
    """To anybody: they are in the public source."""
    asset = assets().get(name)
    if asset is None:
        raise NotFoundError(f"there is no file {name!r}")
    is_of_version = request.query_params.get("v") == asset.version
    return Response(
        asset.content,
        media_type=asset.media_type,
        headers={"Cache-Control": _FOR_GOOD if is_of_version else "no-cache", "ETag": f'"{asset.version}"'},
    )


@ROUTER.get("/favicon.ico")
def favicon(request: Request) -> Response:
    """Browsers ask for it wherever a page names no icon."""
    return static("favicon.svg", request)
