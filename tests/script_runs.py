"""Runs scripts as a user does, each in a process of its own, forked from one that has loaded torch: that takes 3 s."""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch"])


def run_script(script: Path) -> subprocess.CompletedProcess[str]:
    """What `python script` answers: exit status, standard output and standard error."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "stdout"), Path(folder, "stderr")
        process = _CONTEXT.Process(target=_run, args=(str(script), _path(), *map(str, files)))
        process.start()
        process.join()
        said = [file.read_text(encoding="utf-8") if file.exists() else "" for file in files]
    return subprocess.CompletedProcess([sys.executable, script], process.exitcode, *said)


@cache
def _path() -> list[str]:
    """Where a fresh interpreter looks for modules, which is not where pytest does."""
    code = "import json, sys; print(json.dumps(sys.path[1:]))"
    return json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def _run(script: str, path: list[str], stdout: str, stderr: str) -> None:
    """In the process: what the interpreter does with a script; multiprocessing makes the exit status."""
    for stream, file in ((sys.stdout, stdout), (sys.stderr, stderr)):
        stream.flush()
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), stream.fileno())
    sys.argv, sys.path[:] = [script], [os.path.dirname(script), *path]
    sys.dont_write_bytecode = True  # a script is run again after its layer is mended, within a second
    runpy.run_path(script, run_name="__main__")
