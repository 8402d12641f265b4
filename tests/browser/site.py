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

__all__ = ["Quiet", "build_once", "served"]

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


def build_once(folder):
    """The site in `folder`, built as `run.py site` does by whichever process asks first.

    The lessons come from the site's cache if nothing changed.
    """
    outcome = folder / "outcome"
    try:
        folder.mkdir()
    except FileExistsError:
        wait_for(outcome)
    else:
        command = [sys.executable, "-m", "tools.site", "--output", folder / "html"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
        written = folder / "outcome.new"
        written.write_text(done.stderr[-3000:] if done.returncode else "built", "utf-8")
        os.replace(written, outcome)
    assert outcome.read_text("utf-8") == "built"
    return folder / "html"


def wait_for(file):
    deadline = time.monotonic() + LONGEST_BUILD
    while not file.exists():
        assert time.monotonic() < deadline, "the process that builds the site does not end"
        time.sleep(0.5)
