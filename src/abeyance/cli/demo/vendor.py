"""A verification service as an operator would plug it in: a page of its own, at its own address.

`VENDOR` is named in the configuration as the hook of a step. The browser goes there,
uploads, and comes back; whether a document has arrived, the server asks the vendor.
"""

import html
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from abeyance.policy.steps import Done, Finished, NotDone, Visit

_MAX_BODY: Final = 4096
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>ProofPort</title>
<h1>Upload a photo of your document</h1>
<p>This is ProofPort, a verification service. It stands for the one that you work with.</p>
<form method="post" action="/upload">
<input type="hidden" name="ref" value="{ref}"><input type="hidden" name="back" value="{back}">
<button name="document" value="passport">Upload passport.jpg</button></form></html>
"""


class Vendor:
    """The step. `origin` is known once it listens."""

    def __init__(self) -> None:
        self.origin = "http://127.0.0.1:1"
        self._arrived: set[str] = set()
        self._backs: dict[str, str] = {}

    async def start(self, visit: Visit) -> str:
        self._backs[visit.reference] = visit.return_url
        return f"{self.origin}/upload?ref={quote(visit.reference, safe='')}"

    async def finish(self, visit: Visit, query: Mapping[str, str]) -> Finished:
        if visit.reference not in self._arrived:
            return NotDone("No document has arrived at ProofPort yet.")
        name = f"{visit.person_name.partition(',')[0]}-Hale"
        return Done((("Document", "passport, read well"), ("Name in it", name)))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Serve the vendor's page on loopback until the block ends."""
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name that the library calls
                ref = parse_qs(urlsplit(self.path).query).get("ref", [""])[0]
                if ref not in vendor._backs:
                    self._reply(404, "There is nothing here")
                    return
                back = html.escape(vendor._backs[ref])
                self._reply(200, _PAGE.format(ref=html.escape(ref), back=back))

            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length", 0)), _MAX_BODY)
                told = parse_qs(self.rfile.read(length).decode("utf-8", "replace"))
                ref = told.get("ref", [""])[0]
                back = vendor._backs.get(ref)
                if back is None:
                    self._reply(404, "There is nothing here")
                    return
                vendor._arrived.add(ref)
                # Where it came from, not where the form says.
                self.send_response(303)
                self.send_header("Location", back)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _reply(self, status: int, text: str) -> None:
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Security-Policy", "default-src 'none'")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                """Say nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.origin = f"http://127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


VENDOR: Final = Vendor()
