"""An editor as a program: it opens a text with the YAML language server, and asks what is wrong and what fits."""

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from queue import Queue
from typing import Any

# Where npm has put the server: `npm install --prefix DIR yaml-language-server`.
FOLDER = os.environ.get("YAML_LANGUAGE_SERVER", "")
SECONDS = 60


def server_command() -> list[str] | None:
    """How to start the server, if it is there."""
    script = Path(FOLDER) / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    node = shutil.which("node")
    return [node, str(script), "--stdio"] if FOLDER and node and script.is_file() else None


class Editor:
    """A session with the server: `with Editor(command, folder) as editor`."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._folder = folder
        self._answers: Queue[dict[str, Any]] = Queue()
        self._last = 0
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self._ask("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": {}})
        self._tell("initialized", {})

    def __enter__(self) -> "Editor":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def faults(self, text: str) -> list[tuple[int, str]]:
        """The line (from 1) and the message of each fault in a text."""
        uri = self._open(text)
        while True:
            heard = self._answers.get(timeout=SECONDS)
            if heard.get("method") == "textDocument/publishDiagnostics" and heard["params"]["uri"] == uri:
                found = heard["params"]["diagnostics"]
                return [(one["range"]["start"]["line"] + 1, one["message"]) for one in found]

    def completions(self, text: str) -> dict[str, str]:
        """What the server offers at the `|` in a text, each with its description."""
        before, _, after = text.partition("|")
        where = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        asked = {"textDocument": {"uri": self._open(before + after)}, "position": where}
        found = self._ask("textDocument/completion", asked)
        items = found["items"] if isinstance(found, dict) else found
        return {item["label"]: _text(item.get("documentation", "")) for item in items}

    def hover(self, text: str) -> str:
        """What the server says of the place of the `|` in a text."""
        before, _, after = text.partition("|")
        where = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        asked = {"textDocument": {"uri": self._open(before + after)}, "position": where}
        return _text((self._ask("textDocument/hover", asked) or {}).get("contents", ""))

    def _open(self, text: str) -> str:
        self._last += 1
        uri = (self._folder / f"config{self._last}.yaml").as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return uri

    def _ask(self, method: str, params: dict[str, Any]) -> Any:
        self._last += 1
        number = self._last
        self._send({"id": number, "method": method, "params": params})
        while True:
            heard = self._answers.get(timeout=SECONDS)
            if heard.get("id") == number and "method" not in heard:
                assert "error" not in heard, heard
                return heard["result"]

    def _tell(self, method: str, params: dict[str, Any]) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream
        while line := stream.readline():
            if not line.lower().startswith(b"content-length:"):
                continue
            length = int(line.partition(b":")[2])
            while stream.readline().strip():
                pass
            heard = json.loads(stream.read(length))
            if "method" in heard and "id" in heard:  # the server asks for settings: none
                n_asked = len(heard["params"].get("items", [])) if isinstance(heard.get("params"), dict) else 0
                self._send({"id": heard["id"], "result": [None] * n_asked})
            else:
                self._answers.put(heard)


def _text(content: Any) -> str:
    return content["value"] if isinstance(content, dict) else str(content)
