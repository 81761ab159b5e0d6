"""A Hugging Face hub of one repository on a loopback port: the few endpoints that a download asks for."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "c0ffee" + "0" * 34
LARGE = 20_000  # bytes from which a file is kept by its SHA-256


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, repository: str, folder: Path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repository, self.folder = repository, folder
        self.served: list[str] = []
        self.damage, self.stall = "", False  # a file whose bytes arrive changed; whether nothing is answered at all
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body: bool):
        hub, path = self.server, self.path.split("?")[0]
        if hub.stall:
            hub.released.wait(60)
            return
        api, files = f"/api/models/{hub.repository}", f"/{hub.repository}/resolve/{COMMIT}/"
        if path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            files = [{"rfilename": entry["path"]} for entry in self.entries()]
            self.send(json.dumps({"id": hub.repository, "sha": COMMIT, "siblings": files}).encode(), {}, body)
        elif path == f"{api}/tree/{COMMIT}":
            self.send(json.dumps(self.entries()).encode(), {}, body)
        elif path.startswith(files) and (file := hub.folder / path.removeprefix(files)).is_file():
            content = file.read_bytes()
            if body:
                hub.served.append(path.removeprefix(files))
                if hub.damage == path.removeprefix(files):
                    content = content[:-1] + bytes([content[-1] ^ 1])
            name = self.entry(file)
            etag = name["lfs"]["oid"] if "lfs" in name else name["oid"]
            self.send(content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, body)
        else:
            code = "RevisionNotFound" if path.startswith(api) else "RepoNotFound"
            self.send(b"{}", {"X-Error-Code": code}, body, status=404)

    def entries(self) -> list[dict]:
        return [self.entry(file) for file in sorted(self.server.folder.rglob("*")) if file.is_file()]

    def entry(self, file: Path) -> dict:
        content = file.read_bytes()
        git = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        found = {"type": "file", "path": str(file.relative_to(self.server.folder)), "size": len(content), "oid": git}
        if len(content) >= LARGE:
            sha256 = hashlib.sha256(content).hexdigest()
            found["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
        return found

    def send(self, content: bytes, headers: dict, body: bool, status: int = 200):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), "Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextmanager
def serving(repository: str, folder: Path):
    with Hub(repository, folder) as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.released.set()
            hub.shutdown()
            thread.join(10)
