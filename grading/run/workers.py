"""Many submissions at one time, on threads here. (`cluster` does it on a Dask cluster.)

A runner takes a kit and submissions by student; it yields each student with what came of the
run, in the order in which they end.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jupyter_core.utils import ensure_event_loop

from grading.faults import in_words
from grading.run.kit import Kit
from grading.run.submission import Graded, Grader
from grading.sandbox.client import NotGraded

__all__ = ["BEYOND_LIMITS", "NO_END", "Outcome", "Runner", "in_sentence", "run_here", "tried"]

BEYOND_LIMITS = 900  # seconds on top of twice a submission's limit, for starts and tests
NO_END = "grading it came to no end, and no limit stopped it: please report it"

Outcome = Graded | Exception
Runner = Callable[[Kit, Mapping[str, bytes]], Iterator[tuple[str, Outcome]]]


def run_here(
    kit: Kit,
    submissions: Mapping[str, bytes],
    workers: int = 2,
    grader: Callable[[Kit], Any] = Grader,
    patience: float = BEYOND_LIMITS,
) -> Iterator[tuple[str, Outcome]]:
    """Run submissions on threads of this process.

    grader : what runs them: a context with the methods of `Grader`.
    patience : seconds beyond all limits after which a worker is given up.
    """
    left = set(submissions)
    todo: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[str | None, Any]] = queue.SimpleQueue()
    for task in submissions.items():
        todo.put(task)

    def start() -> _Worker:
        return _Worker(kit, grader, todo, done)

    team = [start() for _ in range(min(workers, len(left)))]
    try:
        while left:
            try:
                student, outcome = done.get(timeout=1)
            except queue.Empty:
                for worker in [each for each in team if each.hangs(patience)]:
                    team[team.index(worker)] = start()
                    worker.give_up()
                    if worker.student in left:
                        left.remove(worker.student)
                        yield worker.student, NotGraded(NO_END)
                continue
            if student is None:
                raise outcome
            if student in left:
                left.remove(student)
                yield student, outcome
    finally:  # also when the batch is interrupted: every sandbox ends before we do
        with contextlib.suppress(queue.Empty):
            while True:
                todo.get_nowait()
        for worker in team:
            worker.give_up()
        for worker in team:
            worker.join(60)


class _Worker(threading.Thread):
    """Takes submissions until none is left. It starts the next kernels ahead."""

    def __init__(
        self,
        kit: Kit,
        make: Callable[[Kit], Any],
        todo: queue.SimpleQueue[tuple[str, bytes]],
        done: queue.SimpleQueue[tuple[str | None, Any]],
    ) -> None:
        super().__init__(daemon=True)
        self.kit, self.make, self.todo, self.done = kit, make, todo, done
        self.grader: Grader | None = None
        self.student, self.since = "", math.inf  # whom it grades, and since when
        self.start()

    def run(self) -> None:
        try:
            with contextlib.closing(ensure_event_loop()), self.make(self.kit) as grader:
                self.grader = grader
                self._work(grader)
        except Exception as error:  # it could not even begin
            self.done.put((None, error))

    def _work(self, grader: Grader) -> None:
        with contextlib.suppress(queue.Empty):
            while not grader.stopped:
                self.student, submitted = self.todo.get_nowait()
                self.since = time.monotonic()
                outcome = tried(grader, submitted, ahead=not self.todo.empty())
                self.since = math.inf
                self.done.put((self.student, outcome))

    def hangs(self, patience: float) -> bool:
        """Whether a submission has taken more time than all limits together give it."""
        longest = 2 * self.kit.limits.total_seconds + patience
        return time.monotonic() - self.since > longest

    def give_up(self) -> None:
        """End what it runs; it starts nothing more."""
        if self.grader is not None:
            self.grader.stop()


def tried(grader: Grader, submitted: bytes, ahead: bool = False) -> Outcome:
    """Grade; once more where our own side failed, which may have been the machine's trouble."""
    for attempt in (1, 2):
        try:
            return grader.grade(submitted, ahead)
        except Exception as error:
            if attempt == 2 or grader.stopped:
                return error if isinstance(error, NotGraded) else NotGraded(in_sentence(error))
    raise AssertionError


def in_sentence(error: BaseException) -> str:
    """What is said of a submission that our own side could not grade."""
    return in_words(error) or f"{type(error).__name__}: {error}"
