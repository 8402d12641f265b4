"""A page saved as HTML, with the widgets' state and no kernel anywhere: explorers still move.

Such a page loads three scripts from public servers: RequireJS, the widgets' HTML manager, and
anywidget. Here they come from the npm packages themselves (`npm pack`), and every other request
is refused, so the page is alone with its own data.
"""

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import anywidget
import pytest
from playwright.sync_api import expect

from tools.notebooks import LESSONS, ROOT

from .lab import VIEW, Explorer, give_up, new_context

PACKAGES = ["@jupyter-widgets/html-manager@1", "requirejs@2"]
SCRIPTS = {
    r"require(\.min)?\.js$": "requirejs/package/require.js",
    r"html-manager@[^/]*/dist/(.+\.js)$": "jupyter-widgets-html-manager/package/dist/{}",
}


@pytest.fixture(scope="module")
def npm(tmp_path_factory):
    """The folder in which the npm packages were unpacked."""
    folder = tmp_path_factory.mktemp("npm")
    program = shutil.which("npm")
    if program is None:
        give_up("no npm, which fetches the scripts that a saved page loads: install Node.js")
    done = subprocess.run([program, "pack", *PACKAGES], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        give_up(f"npm cannot fetch {PACKAGES}: {done.stderr.strip().splitlines()[-1:]}")
    for archive in folder.glob("*.tgz"):
        with tarfile.open(archive) as packed:
            packed.extractall(folder / re.sub(r"-\d.*", "", archive.name), filter="data")
    return folder


def script(npm, url):
    """The file that stands for a public URL, or None."""
    if "/anywidget@" in url:  # the package for Python carries the same file
        return Path(anywidget.__file__).parent / "nbextension" / "index.js"
    for pattern, path in SCRIPTS.items():
        if found := re.search(pattern, url):
            return npm / path.format(*found.groups())
    return None


# In a process of its own: in this one Playwright's event loop is running. The site is built from
# the same executed copies: once it is there, nothing is executed a second time.
SAVE = """
import sys, pathlib
from nbconvert import HTMLExporter
from tools.site import executed
path, page = map(pathlib.Path, sys.argv[1:])
html, _ = HTMLExporter().from_notebook_node(executed(path))
page.write_text(html, encoding="utf-8")
"""


@pytest.mark.parametrize("path", sorted(LESSONS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_explorers_move_in_a_saved_page(path, chromium, npm, site, tmp_path):
    page_file = tmp_path / "page.html"
    # As JupyterLab's File > Save and Export Notebook As > HTML does.
    subprocess.run([sys.executable, "-c", SAVE, path, page_file], cwd=ROOT, check=True)
    context = new_context(chromium)
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def answer(route):
        file = script(npm, route.request.url)
        if file and file.is_file():
            route.fulfill(
                path=file,
                content_type="text/javascript",
                headers={"Access-Control-Allow-Origin": "*"},
            )
        else:
            route.abort()

    page.route(re.compile("^https?:"), answer)
    page.goto(page_file.as_uri())
    roots = page.locator(".descent-explorer")
    wanted = page_file.read_text("utf-8").count(f'<script type="{VIEW}">')
    if not wanted:
        pytest.skip("this notebook has no explorer")
    expect(roots).to_have_count(wanted)
    for explorer in (Explorer(page, root) for root in roots.all()):
        for control in explorer.controls:
            (picture, status), (other_picture, other_status) = explorer.move(control)
            assert picture != other_picture and status != other_status
    assert errors == []
    context.close()
