"""What is begun beside the first tests, so that later ones need not wait for it."""

import os

import pytest

from tests.browser.site import begin, folder_of_all


@pytest.fixture(scope="session", autouse=True)
def site_beside(request, tmp_path_factory):
    """The site, if it will be asked for and another process can test meanwhile."""
    asked = any("site" in getattr(item, "fixturenames", ()) for item in request.session.items)
    beside = asked and "PYTEST_XDIST_WORKER" in os.environ
    thread = begin(folder_of_all(tmp_path_factory)) if beside else None
    yield
    if thread:
        thread.join()
