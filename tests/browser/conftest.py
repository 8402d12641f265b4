"""A JupyterLab of our own, a browser, and each notebook opened in it as a learner would.

Everything lives in a temporary folder: neither the user's settings nor the stored notebooks are
touched. The fixtures end with this package, because Playwright keeps an event loop running, and
other tests start kernels in loops of their own.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tools.browser import HOW_TO_GET_A_BROWSER, find_browser
from tools.notebooks import LESSONS, kernel_environment

from .lab import Lab

TOKEN = "descent"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NO_NEWS = '{"fetchNews": "false", "checkForUpdates": false}'  # no question, no request


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="package")
def chromium():
    path = find_browser()
    if path is None:
        sentence = f"no browser: {HOW_TO_GET_A_BROWSER}"
        pytest.fail(sentence) if os.environ.get("CI") else pytest.skip(sentence)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def course(tmp_path_factory):
    """A copy of the course's notebooks; tests may add their own to it."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copytree(LESSONS, folder / "notebooks", ignore=shutil.ignore_patterns(".*"))
    return folder


@pytest.fixture(scope="package")
def server(course, tmp_path_factory):
    """The address of a JupyterLab on `course`, with none of the user's settings."""
    home = tmp_path_factory.mktemp("jupyter")
    news = home / "settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text(NO_NEWS)
    own = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "runtime"}
    environment = {
        **os.environ,
        **kernel_environment(),
        **{f"JUPYTER_{name}": str(home / folder) for name, folder in own.items()},
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        *as_root,
        f"--ServerApp.root_dir={course}",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={TOKEN}",
        "--LabApp.news_url=None",
        "--LabApp.expose_app_in_browser=True",  # window.jupyterapp: what the tests look at
    ]
    log = home / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=course, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            wait_for_server(address, process, log)
            yield address
        finally:
            process.terminate()  # takes the kernels along
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for_server(address, process, log, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="package")
def open_lab(chromium, server):
    """open_lab(path) → a `Lab` that shows this notebook, not yet run; closed at the end."""
    labs = []

    def open_notebook(path):
        labs.append(Lab(chromium, server, TOKEN, path))
        return labs[-1]

    yield open_notebook
    for lab in labs:
        lab.close()


@pytest.fixture(scope="package", params=sorted(LESSONS.glob("*.ipynb")), ids=lambda p: p.stem)
def lesson(request, open_lab):
    """Each notebook of the course, opened and run from the start by JupyterLab's own menu."""
    lab = open_lab(f"notebooks/{request.param.name}")
    lab.restart_and_run_all()
    yield lab
    lab.close()
