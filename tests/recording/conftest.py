import gzip
import json
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from recordings import PROCESSING

import orstats


class Vendor(BaseHTTPRequestHandler):
    """Answer each path with a new id: in the header, or, for /body… and /events…, only in the body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.do_GET()

    def do_GET(self):
        name = self.path.strip("/")
        self.server.count += 1
        generation_id = f"gen-17900{self.server.count:05d}-AbCdEfGhIjKlMnOpQrSt"
        refused = name == "refused" and self.server.count < self.server.refuse_until
        self.send_response(503 if refused else 302 if name == "redirect" else 200)
        if name == "redirect":
            self.send_header("Location", "/end")
        if not name.startswith(("body", "events", "plain")):
            self.send_header("X-Generation-Id", generation_id)
        if name.endswith("gzip"):
            self.send_header("Content-Encoding", "gzip")
        if name.startswith("events"):
            self.events(name, generation_id)
        else:
            body = json.dumps({"object": "chat.completion", "id": generation_id}).encode()
            body = b"{}" if name == "plain" else gzip.compress(body, mtime=0) if name.endswith("gzip") else body
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def events(self, name, generation_id):
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        compressor = zlib.compressobj(wbits=31)
        for piece in (PROCESSING, b'data: {"id":"%s"}\n\n' % generation_id.encode(), b"data: more\n\n"):
            if name.endswith("gzip"):
                piece = compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)  # noqa: PLW2901
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.server.may_go_on.wait()
        if name == "events-cut":
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture(scope="module")
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.daemon_threads = True
    server.may_go_on = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def vendor(server):
    server.count = server.refuse_until = 0
    server.may_go_on.set()
    return server


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ids.jsonl"


@pytest.fixture
def session(path):
    with requests.Session() as session:
        session.trust_env = False
        yield orstats.record(path, session)
