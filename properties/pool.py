"""Several layers at once, one process a layer, their events brought home."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue

from .board import Board
from .check import run_checks
from .events import Drawn, Event, Result
from .targets import Target, TargetError

# Progress is for the eye: more than this many events a second would only cost time.
EVENTS_PER_SECOND = 10

# Each process has a core; BLAS threads on top would fight over them.
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

Message = tuple[int, Event] | None


def try_all(targets: list[Target], jobs: int, board: Board) -> list[Result]:
    """Try each target and show how it goes; the results come in the targets' order."""
    jobs = min(jobs, len(targets))
    return _try_here(targets, board) if jobs == 1 else _try_in_processes(targets, jobs, board)


def _try(target: Target, emit: Callable[[Event], None]) -> tuple[Result, float]:
    started = time.perf_counter()
    try:
        result = run_checks(target.checks(), emit, coverage=target.coverage)
    except (TypeError, ValueError) as error:
        raise TargetError(f"{target.module}:{target.attribute}: {error}") from error
    return result, time.perf_counter() - started


def _try_here(targets: list[Target], board: Board) -> list[Result]:
    results = []
    for number, target in enumerate(targets):
        result, seconds = _try(target, lambda event, n=number: board.take(n, event))  # type: ignore[misc]
        board.finish(number, result, seconds)
        results.append(result)
    return results


def _try_in_processes(targets: list[Target], jobs: int, board: Board) -> list[Result]:
    for variable in ONE_THREAD:  # the processes inherit them
        os.environ.setdefault(variable, "1")
    context = multiprocessing.get_context("spawn")  # a fork of a process that holds torch may hang
    queue: SimpleQueue[Message] = context.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(queue, board), daemon=True)
    listener.start()
    results: dict[int, Result] = {}
    pool = ProcessPoolExecutor(jobs, context, _connect, (queue,))
    try:
        futures = {pool.submit(_try_there, number, target): number for number, target in enumerate(targets)}
        for future in as_completed(futures):
            number = futures[future]
            results[number], seconds = future.result()
            board.finish(number, results[number], seconds)
    except BrokenProcessPool as error:
        waiting = [target.attribute for number, target in enumerate(targets) if number not in results]
        raise TargetError(f"a process died while it tried one of {', '.join(waiting)}; try them with -j 1") from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        queue.put(None)
        listener.join()
    return [results[number] for number in range(len(targets))]


def _listen(queue: SimpleQueue[Message], board: Board) -> None:
    while (message := queue.get()) is not None:
        board.take(*message)


_queue: SimpleQueue[Message] | None = None


def _connect(queue: SimpleQueue[Message]) -> None:
    """In each process, once: where to send events."""
    global _queue
    _queue = queue


def _try_there(number: int, target: Target) -> tuple[Result, float]:
    """In another process: try a target, sending its events home, those of mere progress a few a second."""
    sent = 0.0

    def emit(event: Event) -> None:
        nonlocal sent
        if isinstance(event, Drawn):
            if time.perf_counter() - sent < 1 / EVENTS_PER_SECOND:
                return
            sent = time.perf_counter()
        if _queue is not None:
            _queue.put((number, event))

    return _try(target, emit)
