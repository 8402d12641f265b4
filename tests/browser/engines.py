"""Three browser engines behind one small interface, so that one test holds for all of them.

Chromium is driven by Playwright, as everywhere here. Firefox speaks WebDriver BiDi over a
WebSocket (https://www.w3.org/TR/webdriver-bidi/), WebKit classic WebDriver over HTTP
(https://www.w3.org/TR/webdriver2/): both as Debian packages them, and without a client of
their own, for they understand the same lists of input actions.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import websocket

from .lab import LOADED, VIEWPORT, free_port, new_context

__all__ = ["Chromium", "EngineError", "Firefox", "WebKit"]

# https://www.w3.org/TR/webdriver2/#keyboard-actions
KEYS = {
    "Enter": "\ue007",
    "Space": "\ue00d",
    "End": "\ue010",
    "Home": "\ue011",
    "ArrowLeft": "\ue012",
    "ArrowUp": "\ue013",
}
# A function of JavaScript, called with values of JSON, as a function from text to text.
FROM_TEXT = "async (text) => JSON.stringify(await ({})(...JSON.parse(text)) ?? null)"


class EngineError(Exception):
    """The browser did not start, or did not do what it was asked to do."""


class Chromium:
    """The browser that all other tests use."""

    def __init__(self, browser):
        self.browser = browser

    def start(self):
        self.context = new_context(self.browser)
        self.page = self.context.new_page()

    def open(self, url):
        """Load a page, and return when all that it names is loaded."""
        self.page.goto(url)

    def run(self, function, *values):
        """Call a function of JavaScript, perhaps an async one, in the page; return its value."""
        text = self.page.evaluate(FROM_TEXT.format(function), json.dumps(values))
        return json.loads(text)

    def press(self, key):
        """Press a key, named as in KEYS; it goes to the element that has the focus."""
        self.page.keyboard.press(key)

    def drag(self, *places):
        """Press the main button at the first of these places of the viewport, go to the others."""
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place)
        self.page.mouse.up()

    def click(self, *place):
        self.drag(place)

    def close(self):
        self.context.close()


class _Driven:
    """What Firefox and WebKit have in common: processes, and lists of input actions."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []

    def _start(self, *command, **variables):
        """Start a program, and return the file that has what it says."""
        log = self.folder / f"{Path(command[0]).name}.log"
        with log.open("wb") as output:
            self.processes.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **variables},
                )
            )
        return log

    def _await(self, what, log):
        """The first true value of `what()` while the program started last lives."""
        deadline = time.monotonic() + LOADED / 1000
        while time.monotonic() < deadline and self.processes[-1].poll() is None:
            if value := what():
                return value
            time.sleep(0.1)
        raise EngineError(f"{log.stem} did not start: {log.read_text('utf-8')[-1000:]}")

    def _said(self, pattern, log):
        """What stands in a program's words where the group of this pattern is."""
        return self._await(lambda: re.search(pattern, log.read_text("utf-8")), log)[1]

    def press(self, key):
        value = KEYS[key]
        actions = [{"type": kind, "value": value} for kind in ("keyDown", "keyUp")]
        self._perform({"type": "key", "id": "keyboard", "actions": actions})

    def drag(self, *places):
        moves = [
            {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0} for x, y in places
        ]
        down, up = ({"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp"))
        actions = [moves[0], down, *moves[1:], up]
        self._perform({"type": "pointer", "id": "mouse", "actions": actions})

    def click(self, *place):
        self.drag(place)

    def close(self):
        with contextlib.suppress(Exception):  # it may be gone already, or never have come
            self._say_goodbye()
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Firefox(_Driven):
    """Firefox without a window, through WebDriver BiDi."""

    def start(self):
        command = [self.find(), "--headless", "--no-remote", "--profile", str(self.folder)]
        log = self._start(*command, "--remote-debugging-port=0")
        address = self._said(r"BiDi listening on (ws://\S+)", log)
        self.socket = websocket.create_connection(
            f"{address}/session",
            timeout=LOADED / 1000,
            suppress_origin=True,  # Firefox takes an origin for a page that wants to break in
        )
        self.asked = 0
        self._ask("session.new", capabilities={})
        # A tab of our own, in front: in the first one no key presses a button.
        self.page = self._ask("browsingContext.create", type="tab")["context"]
        self._ask("browsingContext.activate", context=self.page)
        self._ask("browsingContext.setViewport", context=self.page, viewport=VIEWPORT)

    @staticmethod
    def find():
        return shutil.which("firefox-esr") or shutil.which("firefox")

    def _ask(self, method, **params):
        self.asked += 1
        self.socket.send(json.dumps({"id": self.asked, "method": method, "params": params}))
        while (answer := json.loads(self.socket.recv())).get("id") != self.asked:
            pass  # an event
        if answer["type"] == "error":
            raise EngineError(f"{method}: {answer['error']}: {answer['message']}")
        return answer["result"]

    def open(self, url):
        self._ask("browsingContext.navigate", context=self.page, url=url, wait="complete")

    def run(self, function, *values):
        answer = self._ask(
            "script.callFunction",
            functionDeclaration=FROM_TEXT.format(function),
            arguments=[{"type": "string", "value": json.dumps(values)}],
            target={"context": self.page},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise EngineError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def _perform(self, source):
        self._ask("input.performActions", context=self.page, actions=[source])

    def _say_goodbye(self):
        self._ask("browser.close")
        self.socket.close()
        self.processes[-1].wait(20)


class WebKit(_Driven):
    """WebKitGTK's MiniBrowser on a screen that nobody sees, through WebDriver."""

    def start(self):
        screen = ["-screen", "0", "1400x1100x24", "-nolisten", "tcp"]
        display = self._said(r"(?m)^(\d+)$", self._start("Xvfb", "-displayfd", "1", *screen))
        port = free_port()
        own = {f"XDG_{name}_HOME": str(self.folder / name) for name in ("CACHE", "CONFIG", "DATA")}
        own["WEBKIT_DISABLE_COMPOSITING_MODE"] = (
            "1"  # without a graphics card this is twice as fast
        )
        log = self._start("WebKitWebDriver", f"--port={port}", DISPLAY=f":{display}", **own)
        self.address = f"http://127.0.0.1:{port}"
        self._await(self._is_ready, log)
        options = {"binary": self.find(), "args": ["--automation"]}
        wanted = {"alwaysMatch": {"webkitgtk:browserOptions": options}}
        session = self._ask("POST", "/session", capabilities=wanted)
        self.address += f"/session/{session['sessionId']}"
        self._ask("POST", "/timeouts", script=LOADED, pageLoad=LOADED)
        self._ask("POST", "/window/rect", **VIEWPORT)

    @staticmethod
    def find():
        if not (shutil.which("WebKitWebDriver") and shutil.which("Xvfb")):
            return None
        places = ("lib*/*", "lib*")  # Debian's, and others'
        found = [p for at in places for p in Path("/usr").glob(f"{at}/webkit*gtk-*/MiniBrowser")]
        return str(max(found)) if found else None

    def _is_ready(self):
        with contextlib.suppress(OSError):
            return self._ask("GET", "/status")

    def _ask(self, method, path, **body):
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(self.address + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LOADED / 1000) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            said = json.load(error)["value"]
            raise EngineError(f"{path}: {said['error']}: {said['message']}") from None

    def open(self, url):
        self._ask("POST", "/url", url=url)

    def run(self, function, *values):
        script = f"""const [text, done] = arguments;
            ({FROM_TEXT.format(function)})(text)
                .then((value) => done([value]), (error) => done([null, String(error)]));"""
        value, *trouble = self._ask(
            "POST", "/execute/async", script=script, args=[json.dumps(values)]
        )
        if trouble:
            raise EngineError(trouble[0])
        return json.loads(value)

    def _perform(self, source):
        self._ask("POST", "/actions", actions=[source])

    def _say_goodbye(self):
        self._ask("DELETE", "")
