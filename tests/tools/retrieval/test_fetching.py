"""Pages are fetched within limits, and never from where the caller may not look."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from antiphon.tools.errors import InputError
from antiphon.tools.retrieval.fetching import Fetcher, is_url, page, read_list
from antiphon.tools.retrieval.loaders import Source, load

PAGES: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/guide/getting-started": (200, {"Content-Type": "text/html; charset=utf-8"},
                               b"<h1>Start</h1><p>Press the button.</p>"),
    "/notes.md": (200, {"Content-Type": "text/plain"}, b"# Notes\n\nMarkdown by name."),
    "/moved": (302, {"Location": "/notes.md"}, b""),
    "/circle": (302, {"Location": "/circle"}, b""),
    "/file": (302, {"Location": "file:///etc/hostname"}, b""),
    "/ftp": (302, {"Location": "ftp://127.0.0.1/x"}, b""),
    "/picture": (200, {"Content-Type": "image/png"}, b"\x89PNG"),
    "/large": (200, {"Content-Type": "text/plain"}, b"x" * 5000),
}  # fmt: skip


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = PAGES.get(self.path, (404, {}, b"gone"))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def read(url: str, **options: int) -> tuple[str, str, Path]:
    fetcher = Fetcher(allow_private=True, **options)
    async with fetcher.fetched(url) as path:
        document = load(Source(path=path, source=url))
        return document.title, document.text, path


async def test_a_page_becomes_a_document_and_its_file_goes(site: str) -> None:
    """The format is what the server says, the title comes from the address."""
    title, text, path = await read(f"{site}/guide/getting-started")

    assert ("Getting started", "# Start\n\nPress the button.") == (title, text)
    assert not path.exists()


async def test_a_redirect_is_followed_and_the_name_tells_markdown(site: str) -> None:
    """Servers call Markdown plain text."""
    assert "Notes" == (await read(f"{site}/moved"))[0]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/gone", "the server says 404"),
        ("/circle", "more than 5 redirects"),
        ("/file", "no http or https address"),
        ("/ftp", "no http or https address"),
        ("/picture", "Unknown format 'image/png'"),
        ("/large", "Too large"),
    ],
)
async def test_what_cannot_be_had_is_told(site: str, path: str, why: str) -> None:
    """Each redirect is checked like the first address."""
    with pytest.raises(InputError, match=why):
        await read(site + path, largest_bytes=4000)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "10.0.0.8", "192.168.1.1", "169.254.169.254", "0.0.0.0",  # noqa: S104
     "[::ffff:127.0.0.1]", "2130706433", "100.64.0.1", "224.0.0.1"],
)  # fmt: skip
async def test_this_machine_and_its_network_are_refused(host: str) -> None:
    """Nothing is even asked there, however the address is written."""
    with pytest.raises(InputError, match=r"private network|not known"):
        async with Fetcher().fetched(f"http://{host}:9/"):
            pass


async def test_nobody_listening_is_no_traceback() -> None:
    """A refused connection is a reason like others."""
    with pytest.raises(InputError, match="Not fetched"):
        await read("http://127.0.0.1:9/")


def test_a_list_has_one_address_a_line(tmp_path: Path) -> None:
    """Comments and blank lines do not count; anything else is a mistake."""
    path = tmp_path / "urls.txt"
    path.write_text("# ours\nhttps://example.org/a\n\n  http://example.org/b \n")
    assert ("https://example.org/a", "http://example.org/b") == read_list(path)

    path.write_text("https://example.org/a\n/etc/passwd\n")
    with pytest.raises(InputError, match="/etc/passwd"):
        read_list(path)


def test_addresses_and_paths_are_told_apart() -> None:
    """A source goes by its address, whatever part of it was linked to."""
    assert [True, True, False] == [is_url(t) for t in ("HTTP://a", "https://a", "http.md")]
    assert "https://example.org/a" == page("https://example.org/a#part").source
