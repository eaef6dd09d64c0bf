"""Style sheets and scripts: ours and Bootstrap's, under addresses that change with their content.

Everything is read once, at start; ``/assets/<hash>/<name>`` is immutable and answered from memory, packed where the
browser takes that. A wrong hash is not found, so that no cache ever holds the wrong text under a right address.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from forecourt.kernel.errors import Refusal

_OWN = Path(__file__).parent / "files"

_BOOTSTRAP = ("css/bootstrap.min.css", "js/bootstrap.bundle.min.js")
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file in memory. ``packed``: gzip of it, b'' where that is not smaller."""

    media_type: str
    content: bytes
    packed: bytes
    digest: str


def _asset(name: str, content: bytes) -> Asset:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if media_type.startswith("text/") or media_type.endswith("javascript"):
        media_type += "; charset=utf-8"
    packed = gzip.compress(content, 9, mtime=0)
    return Asset(
        media_type,
        content,
        packed if len(packed) < len(content) else b"",
        hashlib.sha256(content).hexdigest()[:16],
    )


class Assets:
    """All assets of a door. ``generated``: further ones by name (the theme of a site); ``folder``: with files of the
    door's own; ``at``: the address under which they are served."""

    def __init__(
        self, generated: Mapping[str, str] | None = None, folder: Path | None = None, at: str = "/assets"
    ) -> None:
        paths = [path for place in (_OWN, folder) if place is not None for path in sorted(place.iterdir())]
        found = {path.name: _asset(path.name, path.read_bytes()) for path in paths if path.is_file()}
        for name in _BOOTSTRAP:
            found[name.rpartition("/")[2]] = _asset(name, (bootstrap_folder() / name).read_bytes())
        for name, text in (generated or {}).items():
            found[name] = _asset(name, text.encode())
        self._by_name = found
        self._at = at

    def url(self, name: str) -> str:
        """The address of an asset."""
        return f"{self._at}/{self._by_name[name].digest}/{name}"

    def answer(self, request: Request, digest: str, name: str) -> Response:
        """The asset, for good. Raises Refusal FC4042."""
        asset = self._by_name.get(name)
        if asset is None or asset.digest != digest:
            raise Refusal("FC4042", "The file does not exist.")
        return self._response(request, asset, _FOREVER)

    def plain(self, request: Request, name: str) -> Response:
        """An asset under an address without its hash (``/favicon.svg``), for a day."""
        return self._response(request, self._by_name[name], "public, max-age=86400")

    @staticmethod
    def _response(request: Request, asset: Asset, caching: str) -> Response:
        headers = {"cache-control": caching, "etag": f'"{asset.digest}"', "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        body = asset.content
        if asset.packed and "gzip" in request.headers.get("accept-encoding", ""):
            body = asset.packed
            headers["content-encoding"] = "gzip"
        return Response(body, media_type=asset.media_type, headers=headers)


def bootstrap_folder() -> Path:
    """Where the package bootstrap-wrapper has put Bootstrap's files."""
    spec = importlib.util.find_spec("bootstrap")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        if (Path(place) / _BOOTSTRAP[0]).is_file():
            return Path(place)
    raise FileNotFoundError("Bootstrap's files are missing: install the package bootstrap-wrapper.")
