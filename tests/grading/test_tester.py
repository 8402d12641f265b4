"""Test cells reach a student's functions at a distance, and nothing of theirs reaches the tests."""

import socket
import threading
import traceback

import numpy as np
import pytest
import torch

from course_utils.exercises import Exercise
from grading.inside import channel, snapshots, tester
from grading.inside.tester import RemoteFunction, StudentError, Students, names_used


@pytest.fixture
def remote(tmp_path):
    """``remote(name=function, …)``: these names in a student's process, here a thread's."""
    open_sockets = []

    def make(hidden=False, **namespace):
        path = str(tmp_path / f"s{len(open_sockets)}")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        students = Students(path, seconds=0.5, hidden=hidden)
        open_sockets.extend([listener, students])

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        while True:
                            request = channel.receive(connection, trusted=True)
                            try:
                                reply = snapshots._answer(request, namespace)
                            except BaseException as error:
                                reply = {"raised": snapshots._in_words(error)}
                            connection.sendall(channel.pack(reply))
                    except (EOFError, OSError):
                        pass

        threading.Thread(target=serve, daemon=True).start()
        return students

    yield make
    for each in open_sockets:
        if isinstance(each, socket.socket):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


def test_a_function_gives_at_a_distance_what_it_gives_nearby(remote):
    def both(x, *, shift=0.0):
        return x + shift, {"n": len(x)}

    students = remote(both=both)
    found, function = students.get("both")
    assert found and isinstance(function, RemoteFunction) and function.__name__ == "both"
    total, about = function(np.arange(3.0), shift=1.0)
    assert np.array_equal(total, [1.0, 2.0, 3.0]) and about == {"n": 3}
    assert torch.equal(function(torch.ones(2))[0], torch.ones(2))


def test_values_come_as_plain_data_and_missing_names_are_missing(remote):
    students = remote(answer=42, todo=..., table=[1.0, None])
    assert students.get("answer") == (True, 42)
    assert students.get("todo") == (True, ...)
    assert students.get("table") == (True, [1.0, None])
    assert students.get("nothing") == (False, None)


class Odd(Exception):
    def __str__(self):
        return "very odd"


class Silent(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "error, kind, text",
    [
        (ValueError("too small"), ValueError, "too small"),
        (NotImplementedError(), NotImplementedError, ""),
        (Odd(), StudentError, "very odd"),
        (Silent(), StudentError, ""),
        (KeyboardInterrupt(), StudentError, ""),
        (SystemExit(3), StudentError, "3"),
        (UnicodeDecodeError("utf8", b"x", 0, 1, "odd"), StudentError, "odd"),
    ],
)
def test_exceptions_come_as_text_under_their_names(remote, error, kind, text):
    def fails():
        raise error

    _, function = remote(fails=fails).get("fails")
    with pytest.raises(kind) as caught:
        function()
    assert type(caught.value).__name__ == type(error).__name__ and text in str(caught.value)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert last.line == "raise error"  # the line of the student's


def test_where_inputs_are_hidden_an_error_tells_its_class_alone(remote):
    def fails(x):
        raise ValueError(f"the input was {x}")

    _, function = remote(hidden=True, fails=fails).get("fails")
    with pytest.raises(ValueError) as caught:
        function(417)
    assert str(caught.value) == tester.UNSEEN
    assert traceback.extract_tb(caught.value.__traceback__)[-1].line == ""


def test_a_call_without_end_is_given_up_and_the_next_one_works(remote):
    wait = threading.Event()
    students = remote(slow=lambda: wait.wait(5), quick=lambda: 1)
    with pytest.raises(TimeoutError, match="no result after 0.5 seconds"):
        RemoteFunction(students, "slow")()
    wait.set()
    assert RemoteFunction(students, "quick")() == 1


def test_a_process_that_is_gone_is_an_error_of_the_students(tmp_path):
    students = Students(str(tmp_path / "nobody"), 1.0)
    with pytest.raises(StudentError, match="the process ended"):
        students.get("x")


def test_our_arguments_stay_what_they_were(remote):
    def spoils(x, parts):
        x *= 0
        parts.append(1)
        return x

    _, function = remote(spoils=spoils).get("spoils")
    x, parts = np.ones(3), [0]
    assert not function(x, parts).any()
    assert x.all() and parts == [0] and function.changed_arguments
    _, harmless = remote(harmless=lambda x: 2 * x).get("harmless")
    harmless(x)
    assert not harmless.changed_arguments


def test_an_exercise_diagnoses_at_a_distance_as_it_does_nearby(remote):
    def spoils(x):
        x *= 2
        return x

    def fails(x):
        return 1 / 0

    mistakes = {"half": (lambda x: x / 2, "half of it.")}
    exercise = Exercise("double", lambda x: 2 * x, lambda rng: (rng.normal(size=3),), mistakes)
    for function in (
        lambda x: 2 * x,
        lambda x: x / 2,
        lambda x: x + 1,
        spoils,
        fails,
        lambda x: None,
        lambda x: "no",
        lambda x: x[:2],
    ):
        _, far = remote(double=function).get("double")
        here = exercise.diagnose(function, np.random.default_rng(0))
        there = exercise.diagnose(far, np.random.default_rng(0))
        assert (here.kind, here.mistake) == (there.kind, there.mistake)
        assert here.sentence == there.sentence


def test_garbage_in_a_reply_is_an_error_of_the_students(remote, monkeypatch):
    for reply in (7, {}, {"raised": 5}, {"raised": {"type": 1, "message": [], "line": None}}):
        monkeypatch.setattr(snapshots, "_answer", lambda *_, reply=reply: reply)
        students = remote()
        with pytest.raises(StudentError):
            RemoteFunction(students, "f")()


def test_names_that_a_cell_reads_and_names_that_it_defines():
    cell = "import os.path as p\nfrom a import b\ndef f(x): return g(x)\ny: int = [h(i) for i in z]"
    assert names_used(cell) == ["g", "x", "int", "h", "i", "z"]
    assert tester.names_defined(cell) == ["b", "f", "i", "p", "y"]
    assert names_used("this is no Python") == tester.names_defined("1 +") == []
