"""Find a browser of the Chromium family: the one place that knows where to look.

`run.py test`, `.ci/run` and the browser tests all ask `find_browser()`.  Standard library only,
because run.py asks before anything is installed.  Run as a program, it prints the path it
found, or nothing and exits with 1.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["find_browser", "HOW_TO_GET_A_BROWSER"]

HOW_TO_GET_A_BROWSER = "install Chromium, Chrome or Edge, or set DESCENT_BROWSER to the path of one"

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)


def find_browser() -> str | None:
    """The path of a Chromium-like browser, or None where there is none.

    Looks, in this order, at the environment variable DESCENT_BROWSER, at PATH, where macOS and
    Windows put applications (they are not on PATH there), and at Playwright's own downloads.

    Raises ValueError if DESCENT_BROWSER is set and names no file: a wrong setting must not
    quietly become another browser.
    """
    chosen = os.environ.get("DESCENT_BROWSER")
    if chosen:
        path = shutil.which(chosen)
        if path is None:
            raise ValueError(
                f"DESCENT_BROWSER is {chosen!r}, but no such program can be run; "
                "set it to the path of a Chromium, Chrome or Edge, or unset it"
            )
        return path
    on_path = (shutil.which(name) for name in NAMES)
    candidates = (*on_path, *_applications(), *_playwright_downloads())
    return next((str(path) for path in candidates if path and os.path.isfile(path)), None)


def _applications() -> Iterable[Path]:
    if sys.platform == "darwin":
        for name in ("Google Chrome", "Chromium", "Microsoft Edge"):
            yield Path("/Applications") / f"{name}.app" / "Contents" / "MacOS" / name
    elif sys.platform == "win32":
        for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"):
            folder = os.environ.get(variable)
            if folder:
                yield Path(folder) / "Google" / "Chrome" / "Application" / "chrome.exe"
                yield Path(folder) / "Microsoft" / "Edge" / "Application" / "msedge.exe"


def _playwright_downloads() -> Iterable[Path]:
    """Browsers that `python -m playwright install chromium` has put into its cache, newest first.

    https://playwright.dev/python/docs/browsers#managing-browser-binaries
    """
    cache = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    if cache in (None, "", "0"):  # "0" keeps the browsers inside the package: not looked for
        cache = {
            "darwin": "~/Library/Caches/ms-playwright",
            "win32": "~/AppData/Local/ms-playwright",
        }.get(sys.platform, "~/.cache/ms-playwright")
    programs = (
        "chromium-*/chrome-linux*/chrome",
        "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
        "chromium-*/chrome-win*/chrome.exe",
    )
    for pattern in programs:
        yield from sorted(Path(cache).expanduser().glob(pattern), reverse=True)


if __name__ == "__main__":
    found = find_browser()
    if found:
        print(found)
    sys.exit(0 if found else 1)
