"""A small object store that speaks enough of S3 for `pyarrow.fs`, and fails on demand."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BAD_KEY = "AKIAWRONG"


@dataclass
class ObjectStore:
    """What the server holds.

    Args:
        objects: Content and time of change by bucket and key.
        fault: Asked before each request, with its method and key, for a status to answer with instead; 0 hangs up.
        requests: Methods and keys, in order.
    """

    buckets: dict[str, dict[str, tuple[bytes, float]]] = field(default_factory=lambda: {"bucket": {}})
    fault: Callable[[str, str], int | None] = lambda method, key: None
    requests: list[tuple[str, str]] = field(default_factory=list)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def names(self) -> list[str]:
        """Returns the keys of the one bucket."""
        return sorted(self.buckets["bucket"])

    def put(self, key: str, content: bytes, age_s: float = 0.0) -> None:
        """Puts an object, as if some time ago."""
        self.buckets["bucket"][key] = (content, time.time() - age_s)

    def get(self, key: str) -> bytes:
        """Returns an object's content."""
        return self.buckets["bucket"][key][0]


@contextmanager
def serve() -> Iterator[ObjectStore]:
    """Serves an empty bucket named ``bucket`` while the block runs."""
    store = ObjectStore()
    handler = type("Handler", (_Handler,), {"store": store})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    store.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    store: ObjectStore

    def log_message(self, text: str, *values: object) -> None:
        pass

    def handle_expect_100(self) -> bool:
        found = super().handle_expect_100()
        self.wfile.flush()
        return found

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        self.query = {name: value[0] for name, value in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self._body()
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            body = _dechunked(body)
        with self.store.lock:
            self.store.requests.append((self.command, key))
        status = self.store.fault(self.command, key)
        if status == 0:
            self.close_connection = True
            self.connection.close()
        elif status is not None:
            self._error(status, "SlowDown" if status == 503 else "AccessDenied")
        elif BAD_KEY in self.headers.get("Authorization", ""):
            self._error(403, "InvalidAccessKeyId")
        elif bucket not in self.store.buckets:
            self._error(404, "NoSuchBucket")
        else:
            self._serve(self.store.buckets[bucket], key, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(content)

    def _serve(self, objects: dict[str, tuple[bytes, float]], key: str, body: bytes) -> None:
        if not key:
            self._bucket(objects, body)
        elif self.command in ("GET", "HEAD"):
            self._read(objects, key)
        elif self.command == "DELETE":
            objects.pop(key, None)
            self.store.uploads.pop(self.query.get("uploadId", ""), None)
            self._answer(204)
        else:
            self._write(objects, key, body)

    def _bucket(self, objects: dict[str, tuple[bytes, float]], body: bytes) -> None:
        if self.command == "GET":
            self._list(objects)
        elif "delete" in self.query:
            for key in re.findall(rb"<Key>(.*?)</Key>", body):
                objects.pop(key.decode(), None)
            self._answer(200, b"<DeleteResult/>")
        else:
            self._answer(200)

    def _list(self, objects: dict[str, tuple[bytes, float]]) -> None:
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        found, folders = [], set()
        with self.store.lock:
            items = sorted(objects.items())
        for key, (content, changed) in items:
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            when = (
                time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(changed)) + f".{int(changed % 1 * 1000):03d}Z"
            )
            found.append(
                f"<Contents><Key>{escape(key)}</Key><LastModified>{when}</LastModified>"
                f"<Size>{len(content)}</Size></Contents>"
            )
        commons = [
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)
        ]
        text = (
            f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(found + commons)}</ListBucketResult>"
        )
        self._answer(200, text.encode())

    def _read(self, objects: dict[str, tuple[bytes, float]], key: str) -> None:
        if key not in objects:
            self._error(404, "NoSuchKey")
            return
        content, changed = objects[key]
        headers = {"Last-Modified": formatdate(changed, usegmt=True), "ETag": f'"{md5(content).hexdigest()}"'}
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if span is None:
            self._answer(200, content, headers)
            return
        start, end = int(span[1]), min(int(span[2]), len(content) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        self._answer(206, content[start : end + 1], headers)

    def _write(self, objects: dict[str, tuple[bytes, float]], key: str, body: bytes) -> None:
        upload = self.query.get("uploadId", "")
        if self.command == "PUT" and upload:
            self.store.uploads[upload][int(self.query["partNumber"])] = body
            self._answer(200, headers={"ETag": f'"{md5(body).hexdigest()}"'})
        elif self.command == "PUT":
            objects[key] = (body, time.time())
            self._answer(200, headers={"ETag": f'"{md5(body).hexdigest()}"'})
        elif "uploads" in self.query:
            upload = f"upload-{len(self.store.requests)}"
            self.store.uploads[upload] = {}
            text = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            self._answer(200, text.encode())
        else:
            parts = self.store.uploads.pop(upload)
            objects[key] = (b"".join(parts[number] for number in sorted(parts)), time.time())
            self._answer(
                200, b'<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>'
            )

    def _error(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _answer(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/xml", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _dechunked(body: bytes) -> bytes:
    """Takes apart what the SDK sends as chunks with trailing checksums."""
    content, place = [], 0
    while True:
        line, _, _ = body[place:].partition(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if not size:
            return b"".join(content)
        start = place + len(line) + 2
        content.append(body[start : start + size])
        place = start + size + 2
