"""Run one command; print its seconds, peak memory in bytes and exit code as JSON.

A separate process with few imports, as Linux counts the memory of the parent in the peak of the command.
"""

import json
import os
import sys
import time


def launch(output: str, command: list[str]) -> dict[str, float]:
    sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    started = time.perf_counter()
    child = os.posix_spawnp(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, sink, 1), (os.POSIX_SPAWN_DUP2, sink, 2)]
    )
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": seconds,
        "peak_bytes": usage.ru_maxrss * unit,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "exit_code": os.waitstatus_to_exitcode(status),
    }


if __name__ == "__main__":
    print(json.dumps(launch(sys.argv[1], sys.argv[2:])))
