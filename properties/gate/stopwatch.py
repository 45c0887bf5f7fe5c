"""Three processes with one layer: the base's code twice, the head's once; each times itself when it is its turn."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from ...oracle.vjp import Case
from ..pool import ONE_THREAD
from ..targets import Target, TargetError

# Seconds of the base, of the base again, of the head.
Times = tuple[float, float, float]


class Stopwatch:
    """The three processes; they end with the `with` block."""

    def __init__(self, base: Path) -> None:
        for variable in ONE_THREAD:  # the processes inherit them
            os.environ.setdefault(variable, "1")
        context = multiprocessing.get_context("spawn")
        self._base = base
        self._pipes: list[Connection] = []
        self._processes = []
        for folder in (base, base, None):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, folder), daemon=True)
            process.start()
            theirs.close()  # so that we are told when it dies
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Stopwatch:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(timeout=5)
            process.kill()

    def load(self, target: Target, cases: Sequence[Case]) -> str:
        """Hand all three a layer and its cases; why that is impossible, if so."""
        for pipe in self._pipes:
            pipe.send((target, cases))
        answers = [self._answer(pipe, target) for pipe in self._pipes]
        return next((str(answer) for answer in answers if answer), "")

    def round(self, repeats: int, first: int) -> Times:
        """One round: all cases so many times, in one process after the other; `first` rotates whose turn it is."""
        seconds = [0.0, 0.0, 0.0]
        for turn in range(3):
            number = (first + turn) % 3
            self._pipes[number].send(repeats)
            seconds[number] = self._answer(self._pipes[number])
        return seconds[0], seconds[1], seconds[2]

    def _answer(self, pipe: Connection, target: Target | None = None) -> Any:
        try:
            return pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise TargetError(f"a process died while it timed {target.attribute if target else 'a layer'}") from error


def serve(pipe: Connection, base: Path | None) -> None:
    """In each process: take layers, and run them when asked to; ends when the other side does."""
    if hasattr(os, "sched_setaffinity"):  # all three on one core: they take turns, and another may be slower
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    ready: list[tuple[Any, Case]] = []
    while True:
        try:
            message = pipe.recv()
        except EOFError:
            return
        if isinstance(message, int):
            pipe.send(_run(ready, message))
            continue
        try:
            target, cases = message
            ready = _load(target, cases, base)
            _run(ready, 1)  # the first run pays for imports and caches
            pipe.send("")
        except Exception as error:  # a layer raises whatever it likes
            where = "the base" if base else "the head"
            pipe.send(f"{where} does not run it: {type(error).__name__}: {error}")


def _load(target: Target, cases: Sequence[Case], base: Path | None) -> list[tuple[Any, Case]]:
    """The layer, built for each case."""
    if base is not None:
        _prefer(base, target.module)
    layer = target.checks()[0].layer
    if base is not None:
        file = Path(sys.modules[target.module].__file__ or "")
        if not file.resolve().is_relative_to(base.resolve()):
            raise TargetError(f"{target.module} is imported from {file.parent}, for {base} has none")
    return [(layer.build(case.config), case) for case in cases]


def _prefer(base: Path, module: str) -> None:
    """Import from a folder before any other place; of gradjury, which is loaded already, what is not loaded yet."""
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    sys.path[:] = [str(base), *(folder for folder in sys.path if folder != str(base))]
    own = __name__.partition(".")[0]
    if module.partition(".")[0] == own:
        package = base / own
        folder = str(package if package.is_dir() else base)  # gradjury's checkout is the package
        path = importlib.import_module(own).__path__
        path[:] = [folder, *(other for other in path if other != folder)]


def _run(ready: Sequence[tuple[Any, Case]], repeats: int) -> float:
    """Seconds of this process for forward and backward of all cases, so many times."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        started = time.process_time()
        for _ in range(repeats):
            for layer, case in ready:
                _, backward = layer(**case.inputs)
                backward(*case.cotangents)
        return max(time.process_time() - started, time.get_clock_info("process_time").resolution)
    finally:
        if collecting:
            gc.enable()
