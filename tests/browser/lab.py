"""A notebook in JupyterLab, and an explorer in it, as a test holds them.

A busy machine may take a hundred times as long as an idle one. So nothing here counts on an
answer within so many milliseconds: what is to come is awaited (`expect`, `Lab.wait_until`,
`eventually`), with a patience that only a failing test uses up; and what moves by the clock
is given a clock that the test moves on (`held_time`).
"""

import contextlib
import hashlib
import os
import socket
import time

import pytest
from playwright.sync_api import expect

__all__ = [
    "Explorer",
    "Lab",
    "VIEWPORT",
    "eventually",
    "free_port",
    "give_up",
    "held_time",
    "new_context",
]

VIEWPORT = {"width": 1280, "height": 900}
# Milliseconds, of patience alone: for one element, for a page to load, for a notebook to run.
SOON, LOADED, RUN = 30_000, 90_000, 300_000
expect.set_options(timeout=SOON)
VIEW = "application/vnd.jupyter.widget-view+json"

# What JupyterLab itself writes to the console, with any notebook.
ALLOWED_ON_CONSOLE = (
    # It asks each new kernel for a debugger and a second thread, and complains if that kernel is
    # restarted meanwhile.
    "Could not restore the debugger state: Canceled future",
    "Canceled future for create_subshell_request message",
)


def give_up(sentence):
    """Skip, but not in CI, which has to have what the tests need."""
    pytest.fail(sentence) if os.environ.get("CI") else pytest.skip(sentence)


def new_context(browser, **options):
    """A browser context of our own size, as patient as a busy machine asks for."""
    context = browser.new_context(**{"viewport": VIEWPORT, **options})
    context.set_default_timeout(LOADED)
    return context


def eventually(page, holds):
    """Wait until `holds()`, a state that the page's events bring about; did it come to hold?"""
    deadline = time.monotonic() + SOON / 1000
    while not holds() and time.monotonic() < deadline:
        page.wait_for_timeout(50)  # in which events arrive
    return holds()


# Animations of the page read a clock that stands still, but for what it is moved on by.
STOP_CLOCK = """() => {
    window.realFrame = window.requestAnimationFrame;
    window.heldTime = performance.now();
    window.requestAnimationFrame = (draw) => realFrame.call(window, () => draw(heldTime));
}"""
MOVE_CLOCK = "(seconds) => { window.heldTime += 1000 * seconds; }"
START_CLOCK = "() => { window.requestAnimationFrame = window.realFrame; }"


@contextlib.contextmanager
def held_time(run):
    """Stop the clock that a page's animations read; yield what moves it on by seconds.

    So an animation goes as far as a test lets it, however long the test takes to look. `run`
    calls a function of JavaScript in the page.
    """
    run(STOP_CLOCK)
    try:
        yield lambda seconds: run(MOVE_CLOCK, seconds)
    finally:
        run(START_CLOCK)


def free_port():
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lab:
    """JupyterLab in a page of its own, showing one notebook.

    `console` collects the console's errors, `frames` what page and kernel say to each other,
    `requests` every request, `refused` those that would have left this machine.
    """

    def __init__(self, browser, address, token, path):
        self.console, self.frames, self.requests, self.refused = [], [], [], []
        self.context = new_context(browser)
        self.page = page = self.context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", self._watch)
        page.route(lambda url: not url.startswith((address, "data:", "blob:")), self._refuse)
        self._arrive(f"{address}/lab/tree/{path}?reset&token={token}")

    def _arrive(self, url):
        self.page.goto(url)
        self._hold()

    def go_on_to(self, path):
        """Close the notebook that is shown, and open another in the same page."""
        self.page.evaluate(
            """async (path) => {
            const old = panel();
            delete window.panel;
            await old.sessionContext.shutdown();
            old.dispose();
            await window.jupyterapp.commands.execute('docmanager:open', { path });
        }""",
            path,
        )
        self._hold()

    def _hold(self):
        """Wait for the notebook that the page opens; `panel()` is it from here on."""
        self.wait_until("window.jupyterapp?.shell.currentWidget?.content?.model?.cells?.length")
        self.page.evaluate("""async () => {
            const notebook = window.jupyterapp.shell.currentWidget;
            window.panel = () => notebook;
            await Promise.all([window.jupyterapp.restored, notebook.context.ready]);
        }""")
        self.wait_until("panel().sessionContext.session?.kernel?.status === 'idle'")

    def _heard(self, message):
        if message.type == "error" and not any(a in message.text for a in ALLOWED_ON_CONSOLE):
            self.console.append(f"{message.text} ({message.location.get('url', '')})")

    def _watch(self, socket):
        if "/channels" not in socket.url:  # the server's own news, such as "a file was looked at"
            return
        for event in ("framesent", "framereceived"):
            socket.on(event, lambda payload: self.frames.append(payload))

    def _refuse(self, route):
        self.refused.append(route.request.url)
        route.abort()

    def wait_until(self, condition, timeout=LOADED):
        self.page.wait_for_function(f"() => {condition}", timeout=timeout)

    def wait_for_silence(self):
        """Wait until page and kernel have said all they had to say, and nothing is being loaded."""
        # A kernel answers in turn: after this answer, all that was asked before is answered.
        self.page.evaluate("panel().sessionContext.session.kernel.requestKernelInfo()")

        def said():
            before = len(self.frames), len(self.questions())
            self.page.wait_for_timeout(500)
            return (len(self.frames), len(self.questions())) != before

        assert eventually(self.page, lambda: not said()), "page and kernel do not fall silent"

    def questions(self):
        """Requests but for JupyterLab's own regular look at kernels, sessions and files."""
        return [url for url in self.requests if "/api/" not in url]

    def close(self):
        with contextlib.suppress(Exception):  # the browser may be gone already
            self.page.evaluate("panel().sessionContext.shutdown()")
        self.context.close()

    def menu(self, menu, item):
        """Choose `item` from a menu of the menu bar, as with the mouse."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=menu).first.click()
        self.page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()

    def restart_and_run_all(self):
        """Run → Restart Kernel and Run All Cells, and wait for the last cell."""
        self.page.evaluate("""() => {
            window.ran = 0;
            panel().sessionContext.iopubMessage.connect((_, message) => {
                if (message.header.msg_type === 'execute_input') window.ran += 1;
            });
        }""")
        self.menu("Run", "Restart Kernel and Run All Cells…")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        total = self.page.evaluate("""() => [...panel().content.model.cells]
            .filter((cell) => cell.type === 'code' && cell.sharedModel.source.trim()).length""")
        self.wait_until(
            f"window.ran >= {total} && panel().sessionContext.session.kernel.status === 'idle'"
            " || [...panel().content.model.cells].some((cell) => cell.type === 'code'"
            " && !(cell.getMetadata('tags') ?? []).includes('raises-exception')"
            " && cell.outputs.toJSON().some((output) => output.output_type === 'error'))",
            timeout=RUN,
        )

    def cells(self):
        """The notebook's cells as JupyterLab holds them now."""
        return self.page.evaluate(
            "() => [...panel().content.model.cells].map((cell) => cell.toJSON())"
        )

    def errors(self):
        """The error outputs of cells that are not meant to raise."""
        return [
            f"cell {n}: {output['ename']}: {output['evalue']}"
            for n, cell in enumerate(self.cells(), 1)
            for output in cell.get("outputs", [])
            if output["output_type"] == "error"
            and "raises-exception" not in cell["metadata"].get("tags", [])
        ]

    def show_cell(self, index):
        """Scroll to the cell (counted from 0) and return its element."""
        self.page.evaluate("index => panel().content.scrollToItem(index, 'start')", index)
        return self.page.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')

    def explorer_cells(self):
        """The indices of the cells that show a widget."""
        return [index for index, cell in enumerate(self.cells()) if views(cell)]

    def explorers(self):
        """Each explorer of the notebook, scrolled into view."""
        for index in self.explorer_cells():
            roots = self._roots(index)
            for number in range(roots.count()):
                yield Explorer(self.page, roots.nth(number))

    def explorer(self, index):
        """The first explorer of this cell (counted from 0), scrolled into view."""
        return Explorer(self.page, self._roots(index).first)

    def _roots(self, index):
        roots = self.show_cell(index).locator(".descent-explorer")
        expect(roots).to_have_count(views(self.cells()[index]))
        expect(roots.first).to_be_visible()
        return roots

    def notebook_state(self):
        """What JupyterLab's shortcuts would change: number of cells, active cell, mode."""
        return self.page.evaluate("""() => {
            const { content } = panel();
            return [content.model.cells.length, content.activeCellIndex, content.mode];
        }""")


def views(cell):
    """How many widgets the outputs of a cell show."""
    return sum(VIEW in output.get("data", {}) for output in cell.get("outputs", []))


class Explorer:
    """One explorer on a page: its controls, its picture, its status line."""

    def __init__(self, page, root):
        self.page, self.root = page, root
        self.status_line = root.locator(".de-status")
        root.scroll_into_view_if_needed()
        expect(self.status_line).not_to_be_empty()  # its first picture is drawn

    @property
    def controls(self):
        return self.root.locator(".de-control").all()

    def picture(self):
        """A digest of the canvas's pixels: equal for equal pictures."""
        pixels = self.root.locator("canvas.de-stage").evaluate("canvas => canvas.toDataURL()")
        return hashlib.sha256(pixels.encode()).hexdigest()

    def status(self):
        return self.status_line.inner_text()

    def seen(self):
        return self.picture(), self.status()

    def settle(self):
        """Wait until what was asked for is drawn: a few frames."""
        self.page.evaluate("""() => new Promise((done) => {
            let left = 3;
            const step = () => { left -= 1; left ? requestAnimationFrame(step) : done(); };
            requestAnimationFrame(step);
        })""")

    def press(self, control, key):
        control.focus()
        self.page.keyboard.press(key)
        self.settle()

    def reset(self):
        self.press(self.root.locator("button.de-reset"), "Enter")

    def move(self, control):
        """Move a control from its first value to its last; return what is seen at both."""
        self.reset()
        first, last, _ = self.keys(control)
        seen = []
        for key in (first, last):
            self.press(control, key)
            seen.append(self.seen())
        return seen

    def name(self, control):
        return control.get_attribute("data-name")

    def keys(self, control):
        """Keys that lead to the first, the last and the last but one value of a control."""
        menu = control.evaluate("element => element.tagName") == "SELECT"
        return ("Home", "End", "ArrowUp" if menu else "ArrowLeft")

    def latencies(self, control, presses):
        """Milliseconds and animation frames from each key press to its picture.

        Measured inside the page, from the key's own event to the end of drawing. One frame means
        that the picture was drawn before the first repaint after the key.
        """
        control.focus()
        self.root.evaluate(
            """(root, name) => {
            const control = root.querySelector(`[data-name="${name}"]`);
            root.measured = [];
            let pressed = null, frame = 0;
            root.onKey = () => {
                pressed = performance.now();
                frame = 1;
                const mine = pressed;
                const count = () => {
                    if (pressed !== mine) return;
                    frame += 1;
                    requestAnimationFrame(count);
                };
                // The explorer asks for the next repaint later than this line does. So in the
                // repaint after that, `count` runs first: what is drawn then is in frame 2.
                requestAnimationFrame(() => requestAnimationFrame(count));
            };
            root.onDrawn = () => {
                if (pressed === null) return;
                root.measured.push([performance.now() - pressed, frame]);
                pressed = null;
            };
            control.addEventListener('keydown', root.onKey, true);
            root.addEventListener('descent:drawn', root.onDrawn);
        }""",
            self.name(control),
        )
        for number, key in enumerate(presses, 1):
            self.page.keyboard.press(key)
            # The next key waits for this one's picture, or a late picture would count as its own.
            self.root.evaluate(
                """(root, number) => new Promise((done) => {
                let left = 30;
                const wait = () => {
                    left -= 1;
                    if (root.measured.length >= number || !left) done();
                    else requestAnimationFrame(wait);
                };
                wait();
            })""",
                number,
            )
        return self.root.evaluate("root => root.measured")
