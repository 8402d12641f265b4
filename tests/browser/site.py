"""The site, built once and served from this machine."""

import contextlib
import functools
import os
import subprocess
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from tools.notebooks import ROOT

__all__ = ["Quiet", "begin", "build_once", "folder_of_all", "served"]

LONGEST_BUILD = 1200  # seconds


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextlib.contextmanager
def served(folder, handler=Quiet):
    """Serve this folder; yield the address, which ends in a slash."""
    handler = functools.partial(handler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def folder_of_all(tmp_path_factory):
    """Where the site is built, one for all processes of this run of tests."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"


def begin(folder):
    """Begin the site in `folder`, unless another process has; return the thread that builds it."""
    try:
        folder.mkdir()
    except FileExistsError:
        return None
    thread = threading.Thread(target=build, args=[folder])
    thread.start()
    return thread


def build(folder):
    """The site as `run.py site` builds it; the file `outcome` says how that ended."""
    command = [sys.executable, "-m", "tools.site", "--output", folder / "html"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    written = folder / "outcome.new"
    written.write_text(done.stderr[-3000:] if done.returncode else "built", "utf-8")
    os.replace(written, folder / "outcome")


def build_once(folder):
    """The site in `folder`, built by whichever process began first.

    The lessons come from the site's cache if nothing changed.
    """
    begin(folder)
    outcome = folder / "outcome"
    wait_for(outcome)
    assert outcome.read_text("utf-8") == "built"
    return folder / "html"


def wait_for(file):
    deadline = time.monotonic() + LONGEST_BUILD
    while not file.exists():
        assert time.monotonic() < deadline, "the process that builds the site does not end"
        time.sleep(0.5)
