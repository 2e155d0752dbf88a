"""The program in child processes that may be killed, starved or lied to, hundreds of times a minute.

A `Nursery` is one process that has imported the program and forks a child per job: a run of `mlp` costs then what it
does, not what its imports do. It takes a job as a line of JSON on standard input and answers with a line of JSON.
"""

import contextlib
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType

from tests.soak.faults import Disk, Trouble

ROOT = Path(__file__).parents[2]
MEGABYTE = 1 << 20
POLL_SECONDS = 0.001
PATIENCE_SECONDS = 600.0
INTERRUPTIONS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@dataclass(frozen=True)
class Job:
    """One run of the program.

    after, signal: a signal that is sent so many seconds after the start. megabytes, cpu_seconds: what it may use beyond
    what the nursery has, 0: anything. checkpoint_seconds: how often a training saves.
    """

    arguments: tuple[str, ...]
    folder: str
    trouble: Trouble = field(default_factory=Trouble)
    trace: str = ""
    after: float = 0.0
    signal: int = 0
    megabytes: int = 0
    cpu_seconds: int = 0
    checkpoint_seconds: float = 0.0


@dataclass(frozen=True)
class Ending:
    """How a child ended: its exit code, or minus the signal; what it wrote; seconds."""

    code: int
    stdout: str
    stderr: str
    seconds: float


class Nursery:
    """Runs jobs one at a time; several nurseries run several at once. Use it in a `with` block."""

    def __init__(self, scratch: Path) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        self._streams = [scratch / "stdout", scratch / "stderr"]

    def __enter__(self) -> "Nursery":
        # One thread: a fork takes no others along.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.children", *map(str, self._streams)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environment, text=True,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def start(self, job: Job) -> None:
        """Begin a job; `wait` must follow."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()

    def wait(self) -> Ending:
        """The ending of the job begun last."""
        assert self._process.stdout
        answer = json.loads(self._process.stdout.readline())
        texts = [path.read_bytes().decode("utf-8", "replace") for path in self._streams]
        return Ending(answer["code"], *texts, answer["seconds"])

    def run(self, job: Job) -> Ending:
        """Do a whole job."""
        self.start(job)
        return self.wait()

    def mlp(self, folder: Path, *arguments: object, **options: object) -> Ending:
        """Run the program in a folder."""
        return self.run(replace(Job(tuple(map(str, arguments)), str(folder)), **options))  # type: ignore[arg-type]


def serve(streams: Sequence[str]) -> None:
    """Fork a child per line of standard input until it ends."""
    import filelock  # noqa: F401
    import rich.console  # noqa: F401
    import typer.main

    import mlpcli.cli.overrides
    import mlpcli.cli.progress.training_view
    import mlpcli.workflows.check
    import mlpcli.workflows.evaluate
    import mlpcli.workflows.init
    import mlpcli.workflows.inspect
    import mlpcli.workflows.predict
    import mlpcli.workflows.train  # noqa: F401
    from mlpcli.cli.main import app
    from mlpcli.config.loading import config_from_mapping
    from tests.program import DATA

    # What the first run of a process builds; otherwise each child would, which takes longer than what it is asked.
    typer.main.get_command(app)
    config_from_mapping({"data": {"train": str(DATA / "iris.csv"), "target": "species"}})
    gc.freeze()  # nor does it copy what it shares with this process
    for line in sys.stdin:
        plain = json.loads(line)
        job = Job(**{**plain, "arguments": tuple(plain["arguments"]), "trouble": Trouble(**plain["trouble"])})
        started = time.perf_counter()
        signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
        pid = os.fork()
        if pid == 0:
            _be_the_program(job, streams)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTIONS)
        code = _watch(pid, job, started)
        os.write(1, (json.dumps({"code": code, "seconds": time.perf_counter() - started}) + "\n").encode())


def _watch(pid: int, job: Job, started: float) -> int:
    """Wait for a child, send it its signal on the way; only who waits knows that the process id is still its own."""
    is_sent = not job.signal
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        elapsed = time.perf_counter() - started
        if not is_sent and elapsed >= job.after:
            os.kill(pid, job.signal)
            is_sent = True
        if elapsed > PATIENCE_SECONDS:
            os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def _be_the_program(job: Job, streams: Sequence[str]) -> None:
    code = 1
    try:
        for number, path in enumerate((os.devnull, *streams)):
            descriptor = os.open(path, (os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if number else os.O_RDONLY, 0o666)
            os.dup2(descriptor, number)
            os.close(descriptor)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # the nursery's holds jobs to come
        os.chdir(job.folder)
        _limit(job)
        from mlpcli.cli import main
        from mlpcli.workflows.training.recording import journal

        journal.CHECKPOINT_SECONDS = job.checkpoint_seconds
        sys.argv = ["mlp", *job.arguments]
        Disk(job.folder, job.trouble, job.trace).install()
        main.app = _unblocking(main.app)  # type: ignore[assignment]
        main.main()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _unblocking(app: Callable[..., object]) -> Callable[..., object]:
    """Let signals in where the program begins: before, they would hit what only stands in for its start."""

    def begin(*arguments: object, **options: object) -> object:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTIONS)
        return app(*arguments, **options)

    return begin


def _limit(job: Job) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if job.cpu_seconds:
        resource.setrlimit(resource.RLIMIT_CPU, (job.cpu_seconds, job.cpu_seconds))
    statm = Path("/proc/self/statm")
    if job.megabytes and statm.exists():  # elsewhere the limit means little
        used = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + job.megabytes * MEGABYTE,) * 2)


if __name__ == "__main__":
    serve(sys.argv[1:])
