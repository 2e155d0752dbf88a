"""A PostgreSQL server of the tests, and rows in a table of it."""

import csv
import io
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

SERVER = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


def run_server(server: Path, folder: Path) -> Iterator[Callable[[str], list[list[str]]]]:
    """Start a server, yield a function that runs SQL in it, and stop it."""
    place = Path(shutil.copytree(folder, f"/tmp/mlp-postgres-{os.getpid()}"))  # a short path, for the socket
    user: dict[str, Any] = {}
    if os.getuid() == 0:  # which the server refuses
        user = {"user": "postgres", "group": "postgres"}
        account = pwd.getpwnam("postgres")
        os.chown(place, account.pw_uid, account.pw_gid)
    options: dict[str, Any] = {"check": True, "capture_output": True, "timeout": 60, "cwd": place, **user}
    subprocess.run([server / "initdb", "-D", place / "data", "-U", "tester", "-A", "trust", "-N"], **options)
    settings = f"-c listen_addresses='' -k {place} -c fsync=off -c timezone=Asia/Tokyo"
    start = [server / "pg_ctl", "-D", place / "data", "-o", settings, "-l", place / "log", "-w", "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, timeout=60, cwd=place, **user)

    def run(script: str) -> list[list[str]]:
        command = ["psql", "-h", str(place), "-U", "tester", "-d", "postgres", "-q", "--csv", "-v", "ON_ERROR_STOP=1"]
        ended = subprocess.run(command, input=script.encode(), capture_output=True, timeout=120)
        assert ended.returncode == 0, ended.stderr.decode()[-2000:]
        return list(csv.reader(io.StringIO(ended.stdout.decode(), newline="")))

    yield run
    subprocess.run([server / "pg_ctl", "-D", place / "data", "-m", "immediate", "stop"], **options)
    shutil.rmtree(place)


def load_rows(columns: Mapping[str, Sequence[Any]], roles: Mapping[str, str], dates: str = "timestamp") -> str:
    """SQL that makes the table `data` of these columns, with dates of the type `dates`."""
    types = {"number": "double precision", "integer": "bigint", "date": dates}
    declared = ", ".join(f'"{name}" {types.get(roles.get(name, ""), "text")}' for name in columns)
    lines = io.StringIO(newline="")
    for row in zip(*columns.values(), strict=True):
        cells = [
            f"{cell}Z" if roles.get(name) == "date" and cell else cell for name, cell in zip(columns, row, strict=True)
        ]
        quoted = ("" if cell is None else '"' + str(cell).replace('"', '""') + '"' for cell in cells)
        lines.write(",".join(quoted) + "\n")
    table = f"DROP TABLE IF EXISTS data;\nCREATE TABLE data ({declared});\nCOPY data FROM STDIN CSV;\n"
    return f"{table}{lines.getvalue()}\\.\n"
