"""Many submissions at one time on a Dask cluster: `homework grade --scheduler ADDRESS`.

Imported where it is asked for: Dask takes a second to import.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from distributed import Client, get_worker, wait
from distributed.diagnostics.plugin import WorkerPlugin

from grading.faults import AGAIN
from grading.run.kit import Kit
from grading.run.submission import Grader
from grading.run.workers import BEYOND_LIMITS, NO_END, Outcome, in_sentence, tried
from grading.sandbox.client import NotGraded
from grading.sandbox.walls import NoSandbox, why_no_sandbox

__all__ = ["run_on_cluster"]


def run_on_cluster(
    kit: Kit,
    submissions: Mapping[str, bytes],
    scheduler: str,
    patience: float = BEYOND_LIMITS,
    tell: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
    welcome: float = 30,
) -> Iterator[tuple[str, Outcome]]:
    """Run submissions on the workers of a Dask cluster, whose scheduler has this address.

    A worker that is lost, or that comes to no end with a submission, is given up: another one takes
    the submission, once.

    Parameters
    ----------
    patience : seconds beyond all limits after which a worker is given up.
    tell : is told of workers that were lost or given up.
    welcome : seconds to wait for the scheduler, and for its first worker.

    Raises
    ------
    NoSandbox : the kit wants one, and a worker has none.
    ValueError : there is no scheduler at this address, it went away, or it has no workers (left).
    """
    try:
        connected = Client(scheduler, timeout=welcome)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"no Dask scheduler answers at {scheduler} ({error}): start one with `dask scheduler`"
        ) from None
    with connected:
        yield from _Cluster(connected, kit, scheduler, patience, tell).run(submissions, welcome)


class _Cluster:
    """A Dask cluster at work: which submission runs where, and since when."""

    def __init__(
        self, client: Any, kit: Kit, scheduler: str, patience: float, tell: Callable[[str], None]
    ) -> None:
        self.client, self.kit, self.scheduler, self.tell = client, kit, scheduler, tell
        self.longest = 2 * kit.limits.total_seconds + patience
        self.running: dict[Any, tuple[str, float]] = {}  # future → student, since when
        self.places: dict[str, str] = {}  # student → the worker that has the submission
        self.given_up: set[str] = set()  # workers
        self.tries: dict[str, int] = {}

    def run(
        self, submissions: Mapping[str, bytes], welcome: float
    ) -> Iterator[tuple[str, Outcome]]:
        self._welcome(welcome)
        # The scheduler gives it to each worker, to those that come later, too.
        self.client.register_plugin(_Desk(self.kit), name=_Desk.name)
        try:
            yield from self._grade_all(submissions)
        finally:  # what it opened is closed; a worker that hangs does not answer
            with contextlib.suppress(Exception):
                self.client.sync(
                    self.client._unregister_worker_plugin, name=_Desk.name, callback_timeout=5
                )

    def _grade_all(self, submissions: Mapping[str, bytes]) -> Iterator[tuple[str, Outcome]]:
        left = list(reversed(list(submissions.items())))
        while left or self.running:
            if not self._others():
                raise ValueError(
                    f"no worker of the Dask scheduler at {self.scheduler} is left: start others. "
                    f"{AGAIN}"
                )
            # One for each thread: more would wait behind a worker that hangs.
            while left and len(self.running) < self._threads():
                self._submit(*left.pop())
            for future in self._ended():
                student, _ = self.running.pop(future)
                error = future.exception()
                yield student, future.result() if error is None else NotGraded(in_sentence(error))
            for student in self._hanging():
                if self.tries[student] < 2 and self._others():
                    left.append((student, submissions[student]))
                else:
                    yield student, NotGraded(NO_END)

    def _welcome(self, seconds: float) -> None:
        try:
            self.client.wait_for_workers(1, timeout=seconds)
        except TimeoutError:
            raise ValueError(
                f"the Dask scheduler at {self.scheduler} has no workers: start some with "
                f"`dask worker {self.scheduler} --nworkers -1 --nthreads 1`"
            ) from None
        if self.kit.protected:
            reasons = self.client.run(why_no_sandbox)
            if any(reasons.values()):
                raise NoSandbox("; ".join(f"{at}: {why}" for at, why in reasons.items() if why))

    def _others(self) -> dict[str, int]:
        """The workers that answer, and their threads."""
        return {at: n for at, n in self.client.nthreads().items() if at not in self.given_up}

    def _threads(self) -> int:
        return sum(self._others().values())

    def _submit(self, student: str, submitted: bytes) -> None:
        self.tries[student] = self.tries.get(student, 0) + 1
        where = {"workers": list(self._others())} if self.given_up else {}
        future = self.client.submit(_grade_remotely, submitted, pure=False, retries=2, **where)
        self.running[future] = student, time.monotonic()

    def _ended(self) -> list[Any]:
        """Those that ended; waits a little. Says which workers were lost meanwhile."""
        done: list[Any] = []
        if self.running:
            with contextlib.suppress(TimeoutError):
                found: Any = wait(list(self.running), timeout=1, return_when="FIRST_COMPLETED")
                done = list(found.done)
        if self.client.status != "running":
            raise ValueError(f"the Dask scheduler at {self.scheduler} went away. {AGAIN}")
        students = {future.key: student for future, (student, _) in self.running.items()}
        known = self.client.processing()
        places = {
            students[key]: at for at, keys in known.items() for key in keys if key in students
        }
        for student, at in self.places.items():
            if at not in known and at not in self.given_up:
                self.given_up.add(at)
                self.tell(f"The worker at {at} was lost; another one grades {student}.")
        self.places = places
        return done

    def _hanging(self) -> list[str]:
        """Students whose submission took more than all limits together; it is run no more."""
        found = []
        for future, (student, since) in list(self.running.items()):
            if time.monotonic() - since > self.longest:
                del self.running[future]
                future.cancel(force=True)
                at = self.places.pop(student, "")
                self.given_up.add(at)
                self.tell(f"The worker at {at or 'an unknown address'} came to no end: given up.")
                found.append(student)
        return found


class _Desk(WorkerPlugin):
    """What a worker keeps from one submission to the next: a grader for each of its threads."""

    name = "descent-grading"
    idempotent = False  # another batch brings another kit

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.graders: dict[int, Grader] = {}

    def grader(self) -> Grader:
        thread = threading.get_ident()
        if thread not in self.graders:
            self.graders[thread] = Grader(self.kit).__enter__()
        return self.graders[thread]

    def teardown(self, worker: Any) -> None:
        for grader in self.graders.values():
            grader.__exit__(None, None, None)


def _grade_remotely(submitted: bytes) -> Outcome:
    """One submission on a worker of a cluster."""
    desk: Any = get_worker().plugins[_Desk.name]
    return tried(desk.grader(), submitted)
