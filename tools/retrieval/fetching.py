"""Pages to files: fetched by http or https only, within limits of size and time.

Every address that a name resolves to is checked, again at each redirect, and the connection goes
to the address that was checked: a page list must not become a way into the network behind us.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from antiphon.tools.errors import InputError
from antiphon.tools.retrieval.loaders import FORMATS, LARGEST_BYTES, Source

if TYPE_CHECKING:
    import httpx

MOST_REDIRECTS = 5
STEP_S = 10.0
"""Longest wait for a connection or the next bytes."""
WHOLE_S = 60.0
"""Longest time for a page in all."""
ENDINGS: Mapping[str, str] = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/x-rst": ".rst",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
}
"""How a page of each media type is read."""


def page(url: str) -> Source:
    """Return an address as a source: it goes by the address itself, without a fragment."""
    address = url.partition("#")[0]
    return Source(path=Path(), source=address, url=address)


def is_url(text: str) -> bool:
    """Say whether an argument is an address and not a path."""
    return text.lower().startswith(("http://", "https://"))


def read_list(path: Path) -> tuple[str, ...]:
    """Return the addresses of a list: one a line, `#` starts a comment.

    Raises:
        InputError: the file cannot be read, or a line is no address.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The list {str(path)!r} cannot be read: {error}") from error
    urls = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    for url in urls:
        if not is_url(url):
            raise InputError(
                f"{str(path)!r} holds no address but {url[:80]!r}",
                hint="One address a line, beginning with http:// or https://.",
            )
    return tuple(urls)


class Fetcher:
    """Fetches one page at a time into a temporary file."""

    def __init__(self, *, allow_private: bool = False, largest_bytes: int = LARGEST_BYTES) -> None:
        """Refuse addresses of this machine and its network unless `allow_private`."""
        self._allow_private = allow_private
        self._largest_bytes = largest_bytes

    @asynccontextmanager
    async def fetched(self, url: str) -> AsyncIterator[Path]:
        """Give the file that a page was written to; it is gone on leaving.

        Raises:
            InputError: it cannot be had: refused, not found, too large, too slow.
        """
        import httpx

        with tempfile.TemporaryDirectory(prefix="antiphon-") as folder:
            try:
                async with asyncio.timeout(WHOLE_S):
                    path = await self._follow(url, Path(folder))
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
                why = str(error) or type(error).__name__
                raise InputError(f"Not fetched: {why}", hint="Open it in a browser.") from error
            except TimeoutError as error:
                raise InputError(f"Not fetched: it took more than {WHOLE_S:g} s") from error
            yield path

    async def _follow(self, url: str, folder: Path) -> Path:
        """Ask for the page and for what it redirects to, each address checked anew."""
        import httpx

        async with httpx.AsyncClient(timeout=STEP_S, trust_env=False) as client:
            address = httpx.URL(url)
            for _ in range(MOST_REDIRECTS + 1):
                host, pinned = await self._checked(address)
                request = client.build_request(
                    "GET",
                    pinned,
                    headers={"Host": host, "User-Agent": "antiphon"},
                    extensions={"sni_hostname": address.host},
                )
                response = await client.send(request, stream=True)
                try:
                    if response.is_redirect and "location" in response.headers:
                        address = address.join(response.headers["location"])
                        continue
                    return await self._written(response, address, folder)
                finally:
                    await response.aclose()
        raise InputError(f"Not fetched: more than {MOST_REDIRECTS} redirects")

    async def _checked(self, address: httpx.URL) -> tuple[str, httpx.URL]:
        """Return the host to ask for, and the address with its name already looked up."""
        if address.scheme not in {"http", "https"} or not address.host:
            raise InputError(f"Not fetched: {str(address)!r} is no http or https address")
        port = address.port or (443 if address.scheme == "https" else 80)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                address.host, port, type=socket.SOCK_STREAM
            )
        except OSError as error:
            raise InputError(f"Not fetched: {address.host!r} is not known") from error
        known = [str(entry[4][0]).partition("%")[0] for entry in found]
        if not self._allow_private and not all(_is_public(one) for one in known):
            raise InputError(
                f"Not fetched: {address.host!r} is in a private network",
                hint="`--allow-private` lets pages come from there.",
            )
        return address.netloc.decode("ascii"), address.copy_with(host=known[0])

    async def _written(self, response: httpx.Response, address: httpx.URL, folder: Path) -> Path:
        if not response.is_success:
            raise InputError(f"Not fetched: the server says {response.status_code}")
        path = folder / _file_name(response.headers.get("content-type", ""), address.path)
        body = bytearray()
        # Decoded bytes are counted, so a page that was packed small counts in full.
        async for piece in response.aiter_bytes(64 * 1024):
            body += piece
            if len(body) > self._largest_bytes:
                raise InputError(f"Too large: the limit is {self._largest_bytes // 2**20} MiB")
        await asyncio.to_thread(path.write_bytes, body)
        return path


def _is_public(address: str) -> bool:
    known = ip_address(address)
    inner = getattr(known, "ipv4_mapped", None) or known
    return bool(inner.is_global) and not inner.is_multicast


def _file_name(media_type: str, path: str) -> str:
    """Return a name that says the format, as the server or else the address tells it."""
    last = PurePosixPath(path)
    stem = "".join(c for c in last.stem if c.isalnum() or c in "-_ ")[:80] or "page"
    told = ENDINGS.get(media_type.partition(";")[0].strip().lower(), "")
    named = last.suffix.lower() if last.suffix.lower() in FORMATS else ""
    # Servers call Markdown and JSON Lines plain text; the name then tells more.
    ending = named if named and told in {"", ".txt"} else told
    if not ending:
        raise InputError(f"Unknown format {media_type or path!r}")
    return stem + ending
