"""A hub for tests: speaks what `longtake model pull` and `huggingface_hub` use of the Hugging Face hub's protocol.

    server.py FOLDER

FOLDER/models/ORG/NAME has the files of models. Large files (weights) are redirected to another host, as the hub does to
its CDN: the hub is 127.0.0.1, the other one localhost on another port. FOLDER/address gets the hub's address when it is
ready. FOLDER/requests.jsonl gets one line per request. FOLDER/faults.json, read at every request, says what goes wrong;
its keys are file names, or "api":

    {"gated": ["org/name"], "token": "hf_x",        models that need a token, and the one that is accepted
     "status": {"api": [[429, {"Retry-After": "1"}], 503]},   answers of the next requests, one after the other
     "cut": {"model.safetensors": [1000, 5000]},    bytes after which the next connections end
     "every": 20000,                                connections to the other host end after up to this many bytes
     "change": {"model.safetensors": 1},            requests whose bytes are changed (-1: all)
     "size": {"model.safetensors": 9},              the length that the other host claims
     "endless": ["model.safetensors"],              a body without a length that does not end
     "pause": 0.002,                                seconds between pieces of 64 KiB of large files
     "entry": {"type": "file", …},                  one more entry in the list of files
     "pages": true,                                 the list of files does not end
     "no_range": true, "range_416": 1,              ranges are ignored; the next requests with one get 416
     "login": true, "location": "http://…"}         every answer is a page; where redirects lead instead

With FOLDER/cert.pem and key.pem both hosts speak TLS.
"""

import hashlib
import http.server
import json
import os
import random
import shutil
import ssl
import sys
import threading
import time
import urllib.parse

FOLDER = sys.argv[1]
MODELS = os.path.join(FOLDER, "models")
LARGE = (".safetensors", ".bin", ".model")
STREAMED = 256 << 20
lock = threading.Lock()
used = {}
generator = random.Random(1)
hashes = {}


def faults():
    try:
        with open(os.path.join(FOLDER, "faults.json")) as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def next_of(kind, name, values):
    """The next of a list of faults, each of which happens once; None after the last one."""
    with lock:
        index = used.get((kind, name), 0)
        if index >= len(values):
            return None
        used[kind, name] = index + 1
        return values[index]


def describe(path):
    """Size, SHA-1 as a Git blob and SHA-256 of a file; kept by its size and time."""
    status = os.stat(path)
    key = (path, status.st_size, status.st_mtime_ns)
    if key not in hashes:
        with open(path, "rb") as file:
            data = file.read()
        hashes[key] = (
            len(data),
            hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(),
            hashlib.sha256(data).hexdigest(),
        )
    return hashes[key]


def listing(model):
    """The files of a model, and the commit, which is a hash of them."""
    folder = os.path.join(MODELS, model)
    files = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            files[os.path.relpath(path, folder)] = describe(path)
    commit = hashlib.sha1(json.dumps(sorted(files.items())).encode()).hexdigest()
    return files, commit


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        with lock, open(os.path.join(FOLDER, "requests.jsonl"), "a") as file:
            record = {
                "host": self.server.role,
                "method": self.command,
                "path": self.path,
                "range": self.headers.get("Range"),
                "authorization": self.headers.get("Authorization"),
            }
            file.write(json.dumps(record) + "\n")
        self.faults = faults()
        path = urllib.parse.urlsplit(self.path).path
        parts = [urllib.parse.unquote(part) for part in path.split("/")[1:]]
        if self.faults.get("login"):
            self.reply(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})
        elif self.server.role == "cdn":
            self.send_file("/".join(parts[2:]), os.path.join(MODELS, *parts))
        elif parts[:2] == ["api", "models"]:
            self.api(parts[2:])
        elif "resolve" in parts:
            at = parts.index("resolve")
            self.resolve("/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2 :]))
        else:
            self.refuse(404, "EntryNotFound")

    def reply(self, status, body=b"", headers={}):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            pause = self.faults.get("pause", 0)
            for start in range(0, len(body), 1 << 16):
                self.wfile.write(body[start : start + (1 << 16)])
                if pause and len(body) > 1 << 16:
                    time.sleep(pause)

    def refuse(self, status, code, headers={}):
        self.reply(status, b"refused", {"X-Error-Code": code, "X-Error-Message": code, **headers})

    def allowed(self, model, name):
        """True if the request may go on; otherwise it has been answered."""
        fault = next_of("status", name, self.faults.get("status", {}).get(name, []))
        if fault is not None:
            status, headers = fault if isinstance(fault, list) else (fault, {})
            self.reply(status, b"fault", headers)
            return False
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if model in self.faults.get("gated", []) and token != self.faults.get("token"):
            self.refuse(403 if token else 401, "GatedRepo")
            return False
        if not os.path.isdir(os.path.join(MODELS, model)):
            self.refuse(401 if not token else 404, "RepoNotFound")
            return False
        return True

    def api(self, parts):
        model = "/".join(parts[:2])
        if not self.allowed(model, "api"):
            return
        files, commit = listing(model)
        revision = parts[3] if len(parts) > 3 else "main"
        if revision not in ("main", commit):
            return self.refuse(404, "RevisionNotFound")
        if len(parts) > 2 and parts[2] == "tree":
            return self.tree(model, files)
        siblings = [{"rfilename": name} for name in sorted(files)]
        self.json({"id": model, "modelId": model, "sha": commit, "siblings": siblings, "private": False, "tags": []})

    def tree(self, model, files):
        entries = []
        for name, (size, blob, sha256) in sorted(files.items()):
            entry = {"type": "file", "path": name, "size": size, "oid": blob}
            if name.endswith(LARGE):
                entry["lfs"] = {"oid": sha256, "size": size, "pointerSize": 134}
            entries.append(entry)
        entries.insert(0, {"type": "directory", "path": "folder", "size": 0, "oid": "0" * 40})
        if "entry" in self.faults:
            entries.append(self.faults["entry"])
        # Pages of five entries.
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        start = int(query.get("cursor", ["0"])[0])
        headers = {}
        if start + 5 < len(entries) or self.faults.get("pages"):
            path = urllib.parse.urlsplit(self.path).path
            address = f"{self.server.hub}{path}?recursive=true&cursor={start + 5}"
            headers["Link"] = f'<{address}>; rel="next"'
        self.json(entries[start : start + 5], headers)

    def json(self, value, headers={}):
        self.reply(200, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})

    def resolve(self, model, revision, name):
        if not self.allowed(model, name):
            return
        files, commit = listing(model)
        headers = {"X-Repo-Commit": commit}
        if revision not in ("main", commit):
            return self.refuse(404, "RevisionNotFound")
        if name not in files:
            return self.refuse(404, "EntryNotFound", headers)
        size, blob, sha256 = files[name]
        if name.endswith(LARGE):
            location = self.faults.get("location") or f"{self.server.cdn}/{model}/{name}?signature=x"
            headers.update({"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(size), "Location": location})
            self.reply(302, b"", headers)
        else:
            self.send_file(name, os.path.join(MODELS, model, name), {"ETag": f'W/"{blob}"', **headers})

    def send_file(self, name, path, headers={}):
        base = os.path.basename(name)
        if not os.path.isfile(path):
            return self.refuse(404, "EntryNotFound")
        if os.path.getsize(path) > STREAMED and not self.faults:
            return self.stream(path, headers)
        with open(path, "rb") as file:
            data = file.read()
        if next_of("change", base, range(self.faults.get("change", {}).get(base, 0))) is not None or (
            self.faults.get("change", {}).get(base) == -1
        ):
            data = data[:-1] + bytes([data[-1] ^ 1])
        start, status, headers = 0, 200, dict(headers)
        wanted = self.headers.get("Range")
        if wanted and not self.faults.get("no_range"):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            if start >= len(data) or next_of("416", "", range(self.faults.get("range_416", 0))) is not None:
                return self.reply(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = data[start:]
        if base in self.faults.get("endless", []):
            return self.send_endless(status, headers)
        size = self.faults.get("size", {}).get(base)
        if size is not None:
            body = (body * (size // max(len(body), 1) + 1))[:size]
        if self.command == "HEAD":
            return self.reply(status, b"", {**headers, "Content-Length": str(len(body))})
        limit = next_of("cut", base, self.faults.get("cut", {}).get(base, []))
        if limit is None and self.server.role == "cdn" and "every" in self.faults:
            with lock:
                limit = generator.randrange(1, self.faults["every"])
        if limit is None or limit >= len(body):
            return self.reply(status, body, headers)
        self.reply(status, body[:limit], {**headers, "Content-Length": str(len(body))})
        self.wfile.flush()
        self.close_connection = True

    def stream(self, path, headers):
        """Sends a file of gigabytes without reading it into memory first."""
        size, start = os.path.getsize(path), 0
        wanted = self.headers.get("Range")
        if wanted:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            if start >= size:
                return self.reply(416, b"", {"Content-Range": f"bytes */{size}"})
            headers = {**headers, "Content-Range": f"bytes {start}-{size - 1}/{size}"}
        self.send_response(206 if wanted else 200)
        for key, value in {**headers, "Content-Length": str(size - start)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            with open(path, "rb") as file:
                file.seek(start)
                shutil.copyfileobj(file, self.wfile, 1 << 20)

    def send_endless(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while self.command != "HEAD":
            self.wfile.write(bytes(1 << 16))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        # Clients that go away are what these tests are about.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    hub, cdn = (Server(("127.0.0.1", 0), Handler) for _ in range(2))
    hub.role, cdn.role = "hub", "cdn"
    scheme = "http"
    if os.path.exists(os.path.join(FOLDER, "cert.pem")):
        scheme = "https"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(FOLDER, "cert.pem"), os.path.join(FOLDER, "key.pem"))
        for server in (hub, cdn):
            server.socket = context.wrap_socket(server.socket, server_side=True)
    hub.hub = f"{scheme}://127.0.0.1:{hub.server_address[1]}"
    hub.cdn = f"{scheme}://localhost:{cdn.server_address[1]}"
    for server in (hub, cdn):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(os.path.join(FOLDER, "address.new"), "w") as file:
        file.write(hub.hub)
    os.rename(os.path.join(FOLDER, "address.new"), os.path.join(FOLDER, "address"))
    # Ends when the test that started it does: its end of the pipe is closed.
    sys.stdin.read()


main()
