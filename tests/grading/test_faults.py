"""Faults of the surroundings end in a sentence, lose nothing, and the same command goes on."""

import contextlib
import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
import sqlalchemy.exc
from distributed import LocalCluster
from distributed.comm.core import CommClosedError

from grading import files
from grading.cli import main
from grading.course import ROOT
from grading.faults import in_words
from grading.run import cluster as on_cluster
from grading.run.cluster import run_on_cluster
from grading.sandbox.client import NotGraded
from grading.sandbox.walls import Limits
from tests.grading.at_work import at_work

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x")


@pytest.mark.parametrize(
    "error, words",
    [
        (FULL, "no room is left"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "no room is left"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "Permission denied: /x"),
        (sqlite3.OperationalError("database is locked"), "database is locked"),
        (sqlalchemy.exc.OperationalError("SELECT", {}, Exception("no server")), "no server"),
        (CommClosedError("in <TCP>: Stream is closed"), "cluster does not answer"),
    ],
)
def test_a_fault_of_the_surroundings_has_words(error, words):
    said = in_words(error)
    assert words in said and "the same command goes on" in said and "\n" not in said
    assert "Traceback" not in said and "SELECT" not in said


def test_a_mistake_in_our_own_code_is_none():
    assert in_words(KeyError("x")) is None and in_words(AssertionError()) is None


def test_a_full_disk_leaves_the_file_that_was_there_and_nothing_half_written(tmp_path):
    path = tmp_path / "grades.csv"
    files.replace(path, "before")
    with open("/dev/full", "wb") as full, pytest.raises(OSError, match="No space left"):
        full.write(b"x" * 10**6)  # what a full disk does to a writer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(FULL))
        with pytest.raises(OSError, match="No space left"):
            files.replace(path, "after")
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["grades.csv"]


@pytest.mark.parametrize("error", [FULL, sqlite3.OperationalError("database is locked")])
def test_a_command_says_what_is_the_matter_in_one_line(tmp_path, monkeypatch, capsys, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("grading.course.Course.prepare", fails)
    assert main(["--course", str(tmp_path / "c"), "grade"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("run.py homework: ") and said.count("\n") == 1
    assert "the same command goes on" in said


def test_a_mistake_of_ours_is_not_hidden(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise KeyError("ours")

    monkeypatch.setattr("grading.course.Course.prepare", fails)
    with pytest.raises(KeyError):
        main(["--course", str(tmp_path / "c"), "grade"])


# ------------------------------------------------------------------ a cluster


KIT = SimpleNamespace(limits=Limits(total_seconds=0.5), protected=False)


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setattr(on_cluster, "_grade_remotely", at_work)
    settings = {"n_workers": 3, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(**settings) as made:
        yield made
        for worker in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                worker.send_signal(signal.SIGCONT)  # so that those that are stopped can end


def graded(cluster, submissions, **more):
    said = []
    found = dict(
        run_on_cluster(KIT, submissions, cluster.scheduler_address, tell=said.append, **more)
    )
    return found, said


@pytest.mark.slow
def test_work_of_a_worker_that_is_lost_or_hangs_goes_to_another(cluster, tmp_path):
    submissions = {
        "a": b"1",
        "b": f"once stop {tmp_path / 'b'}".encode(),
        "c": f"once kill {tmp_path / 'c'}".encode(),
        "d": b"slow",
        "e": b"5",
    }
    found, said = graded(cluster, submissions, patience=10)
    assert found == submissions
    assert any("given up" in text for text in said)


@pytest.mark.slow
def test_a_submission_that_hangs_everywhere_has_no_grade_and_the_others_have(cluster):
    submissions = {"a": b"always", "b": b"2", "c": b"3"}
    found, said = graded(cluster, submissions, patience=10)
    assert isinstance(found.pop("a"), NotGraded) and found == {"b": b"2", "c": b"3"}
    assert len(said) == 2


@pytest.mark.slow
def test_where_every_worker_hangs_the_batch_ends_and_says_how_to_go_on(cluster):
    submissions = {"a": b"always", "b": b"always", "c": b"always", "d": b"4"}
    with pytest.raises(ValueError, match="no worker .* is left.*the same command goes on"):
        graded(cluster, submissions, patience=5)


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match="no Dask scheduler answers at tcp://127.0.0.1:1"):
        list(run_on_cluster(KIT, {"a": b""}, "tcp://127.0.0.1:1", welcome=1))
    with pytest.raises(ValueError, match="no Dask scheduler answers"):
        list(run_on_cluster(KIT, {"a": b""}, "no address", welcome=1))
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    file = tmp_path / "scheduler.json"
    with subprocess.Popen(
        [*command, *options, "--scheduler-file", str(file)], cwd=ROOT, stderr=subprocess.DEVNULL
    ) as scheduler:
        try:
            while not (file.is_file() and file.read_text().strip()):
                time.sleep(0.1)
            address = json.loads(file.read_text())["address"]
            with pytest.raises(ValueError, match="has no workers"):
                list(run_on_cluster(KIT, {"a": b""}, address, welcome=1))
        finally:
            scheduler.terminate()
