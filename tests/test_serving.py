"""docs/serving.md: both servers are started as the page says, and answer as `mlp predict` does.

The variable SERVERS is the `bin` folder of an environment that has litserve, bentoml and onnxruntime.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.program import DATA, ROOT, done, write_csv

SERVERS = os.environ.get("SERVERS", "")
PAGE = (ROOT / "docs" / "serving.md").read_text("utf-8")
FILES = dict(re.findall(r"<!-- (\w+\.py) -->\n```python\n(.*?)```\n", PAGE, re.DOTALL))
COMMANDS = {
    "litserve": ["{bin}/python", "litserve_server.py", "{port}"],
    "bentoml": ["{bin}/bentoml", "serve", "bentoml_service:Penguins", "--host", "127.0.0.1", "--port", "{port}"],
}
NUMBERS = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
ROWS = [
    {"island": "Biscoe", "sex": "female"} | dict(zip(NUMBERS, (46.1, None, 211.0, 4500.0), strict=True)),
    {"island": "Atlantis", "sex": ""} | dict(zip(NUMBERS, (39.0, 18.0, 185.0, 3700.0), strict=True)),
    {"island": "Dream", "sex": "male"} | dict(zip(NUMBERS, (50.0, 19.5, 196.0, 1e9), strict=True)),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the programs of the page, the model, and what it answers to the rows."""
    pytest.importorskip("onnx", reason="the extra onnx is not installed")
    folder = tmp_path_factory.mktemp("serving")
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")
    weights = folder / "run" / "weights.npz"
    train = ["train", ROOT / "configs" / "penguins.yaml", "--set", f"data.train={DATA / 'penguins.csv'}"]
    done(*train, "--set", "training.epochs=5", "--output", weights.parent, "--quiet")
    done("export", weights, "--to", "onnx", "-o", folder / "penguins.onnx")
    cells = [["" if row[name] is None else row[name] for name in ROWS[0]] for row in ROWS]
    answers = done("predict", weights, write_csv(folder / "rows.csv", list(ROWS[0]), cells), "--proba", "--quiet").rows
    return folder, answers


def asked(port, rows):
    """The status, and the answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict", json.dumps({"rows": rows}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, None


def first_answer(server, port, rows):
    """That of a server that may not be up yet."""
    for _ in range(120):
        assert server.poll() is None, "the server has ended"
        try:
            status, answer = asked(port, rows)
            if status != 503:
                return status, answer
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.5)
    raise AssertionError("the server does not answer")


@pytest.mark.skipif(not SERVERS, reason="SERVERS names no environment that has the servers")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_server_answers_as_the_model_does_and_refuses_what_is_no_row(name, place):
    folder, truth = place
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [part.format(bin=SERVERS, port=port) for part in COMMANDS[name]]
    environment = os.environ | {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder / "bento")}
    with (folder / f"{name}.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        status, answer = first_answer(server, port, ROWS)
        assert status == 200, (folder / f"{name}.log").read_text()
        assert answer["species"] == [row["species"] for row in truth]
        for found, row in zip(answer["probabilities"], truth, strict=True):
            classes = ("p_Adelie", "p_Chinstrap", "p_Gentoo")
            assert found == pytest.approx([float(row[column]) for column in classes], abs=1e-5)
        for wrong in ({"island": "Dream"}, ROWS[0] | {"body_mass_g": "heavy"}):
            assert asked(port, [wrong])[0] >= 400
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(20)


def test_the_page_has_the_files_that_its_commands_name():
    assert FILES.keys() == {"litserve_server.py", "bentoml_service.py"}
    for text in FILES.values():
        compile(text, "<page>", "exec")
    assert all(Path(word).suffix != ".py" or word in FILES for words in COMMANDS.values() for word in words)
