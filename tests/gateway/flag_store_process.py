"""SSM's and DynamoDB's answers about flags, from a file, by a process that can be killed and halted.

`python flag_store_process.py <port> <file>`; the file is a JSON object from flag to [text, changed_at_ms].
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Answers every read with what the file says now."""

    protocol_version = "HTTP/1.1"
    file: Path

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        records = json.loads(self.file.read_text())
        if self.headers["x-amz-target"].endswith(".Scan"):
            answer: dict[str, object] = {"Items": [_item(name, *record) for name, record in records.items()]}
        else:
            answer = {
                "Parameters": [_parameter(asked["Path"], name, *record) for name, record in records.items()]
            }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/x-amz-json-1.0")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


def _item(name: str, text: str, changed_at_ms: int) -> dict[str, object]:
    return {"flag": {"S": name}, "value": {"S": text}, "changed_at_ms": {"N": str(changed_at_ms)}}


def _parameter(path: str, name: str, text: str, changed_at_ms: int) -> dict[str, object]:
    return {"Name": f"{path}/{name}", "Value": text, "LastModifiedDate": changed_at_ms / 1000}


def main(port: int, file: Path) -> None:
    """Serve until killed."""
    Handler.file = file
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
