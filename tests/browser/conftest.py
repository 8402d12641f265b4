"""A JupyterLab of our own, a browser, and each notebook opened in it as a learner would.

Everything lives in a temporary folder: neither the user's settings nor the stored notebooks are
touched. The fixtures end with this package, because Playwright keeps an event loop running, and
other tests start kernels in loops of their own.
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tools.browser import HOW_TO_GET_A_BROWSER, find_browser
from tools.notebooks import LESSONS, kernel_environment

from .lab import LOADED, Lab, free_port, give_up
from .site import build_once, folder_of_all

TOKEN = secrets.token_hex(8)  # another server's, met by chance, is not taken for ours
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {
    # no question, no request
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # A lesson that was run and then saved by the clock would be trusted when opened again.
    "docmanager-extension/plugin": {"autosave": False},
}


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="package")
def chromium():
    path = find_browser()
    if path is None:
        give_up(f"no browser: {HOW_TO_GET_A_BROWSER}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS, timeout=LOADED)
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
    for name, settings in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    log = home / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            jupyterlab(course),
            env=environment(home),
            cwd=course,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield address_of(process, home / "runtime", log)
        finally:
            process.terminate()  # takes the kernels along
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()  # and the kernels end when they notice
                process.wait()


def environment(home):
    """The environment of a JupyterLab that has all its own files in `home`."""
    own = {"CONFIG_DIR": "config", "DATA_DIR": "data", "RUNTIME_DIR": "runtime"}
    return {
        **os.environ,
        **kernel_environment(),
        **{f"JUPYTER_{name}": str(home / folder) for name, folder in own.items()},
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
    }


def jupyterlab(folder):
    """The command that starts JupyterLab on this folder, at a port that is free now."""
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        *as_root,
        f"--ServerApp.root_dir={folder}",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={free_port()}",  # or another, if somebody takes it first
        f"--IdentityProvider.token={TOKEN}",
        "--LabApp.news_url=None",
        "--LabApp.expose_app_in_browser=True",  # window.jupyterapp: what the tests look at
    ]


def address_of(process, runtime, log):
    """Where the server says that it listens, as soon as it answers there."""
    deadline = time.monotonic() + LOADED / 1000
    while time.monotonic() < deadline and process.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError):  # not yet: half a file, no answer
                address = json.loads(file.read_text())["url"].rstrip("/")
                with urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5):
                    return address
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="package")
def site(tmp_path_factory):
    """The folder of the site, one for all processes of this run of tests."""
    return build_once(folder_of_all(tmp_path_factory))


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
