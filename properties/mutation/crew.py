"""Worker processes that outlive their jobs: what dies is replaced, what takes too long is killed."""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from types import TracebackType
from typing import Any

from ..pool import ONE_THREAD


@dataclass(frozen=True)
class Job:
    """A function of a module, its arguments, and after how many seconds it is killed."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    limit: float = float("inf")


@dataclass(frozen=True)
class Died:
    """The process that did a job ended, with this exit code."""

    exit_code: int | None


@dataclass(frozen=True)
class TimedOut:
    """A job took longer than its limit."""

    seconds: float


@dataclass(frozen=True)
class _Raised:
    text: str


class JobError(RuntimeError):
    """A job raised; the message is its traceback."""


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    number: int | None = None
    deadline: float = field(default=float("inf"))


class Crew:
    """Some worker processes; a context manager."""

    def __init__(self, jobs: int) -> None:
        for variable in ONE_THREAD:  # the processes inherit them
            os.environ.setdefault(variable, "1")
        self._context: SpawnContext = multiprocessing.get_context("spawn")
        self._count = jobs
        self._workers: list[_Worker] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
        self._workers.clear()

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Any]]:
        """Do the jobs; answer each one's number with its result, Died or TimedOut, as they come.

        Raises JobError where a job raises.
        """
        waiting = list(range(len(jobs)))[::-1]
        while len(self._workers) < min(self._count, len(jobs)):
            self._workers.append(self._hire())
        busy: list[_Worker] = []
        while waiting or busy:
            for worker in [w for w in self._workers if w.number is None][: len(waiting)]:
                worker.number = waiting.pop()
                job = jobs[worker.number]
                worker.deadline = time.monotonic() + job.limit
                worker.connection.send((job.function, job.arguments))
            busy = [w for w in self._workers if w.number is not None]
            for worker, number, result in self._results(busy, jobs):
                worker.number = None
                if isinstance(result, _Raised):
                    raise JobError(result.text)
                yield number, result
            busy = [w for w in self._workers if w.number is not None]

    def _results(self, busy: list[_Worker], jobs: Sequence[Job]) -> Iterator[tuple[_Worker, int, Any]]:
        soonest = min(worker.deadline for worker in busy) - time.monotonic()
        ready = wait([w.connection for w in busy], None if soonest == float("inf") else max(soonest, 0))
        for worker in busy:
            assert worker.number is not None
            if worker.connection in ready:
                try:
                    yield worker, worker.number, worker.connection.recv()
                except (EOFError, ConnectionError):
                    worker.process.join()
                    number, code = worker.number, worker.process.exitcode
                    yield self._replace(worker), number, Died(code)
            elif worker.deadline <= time.monotonic():
                number = worker.number
                yield self._replace(worker), number, TimedOut(jobs[number].limit)

    def _hire(self) -> _Worker:
        here, there = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(there,), daemon=True)
        process.start()
        there.close()
        here.recv()  # it has imported what it needs; no job's time is spent on that
        return _Worker(process, here)

    def _replace(self, worker: _Worker) -> _Worker:
        worker.process.kill()
        worker.process.join()
        new = self._hire()
        self._workers[self._workers.index(worker)] = new
        return new


def _serve(connection: Connection) -> None:
    """In a worker: do what comes until nothing does."""
    connection.send("ready")
    while True:
        try:
            function, arguments = connection.recv()
            connection.send(function(*arguments))
        except EOFError:
            return
        except Exception:  # of the job, or in taking it out of the message or putting its result into one
            connection.send(_Raised(traceback.format_exc()))
