"""The site in three engines: every explorer moves and every prediction answers in each of them.

An engine that is found is tried, one that is not is skipped (in CI it has to be there).
"""

import json
from pathlib import Path

import pytest

from tools.notebooks import LESSONS

from .engines import Chromium, EngineError, Firefox, WebKit
from .lab import give_up, held_time
from .site import Quiet, served

LESSON_PAGES = [f"notebooks/{path.stem}.html" for path in sorted(LESSONS.glob("*.ipynb"))]
HOW_TO_GET = {
    Firefox: "install Firefox (Debian: firefox-esr)",
    WebKit: "install WebKit's driver and a screen for it (Debian: webkit2gtk-driver, xvfb)",
}

# Goes into each page before all else, since not every driver tells what the console heard.
SPY = """<script>
window.troubles = [];
for (const kind of ["error", "warn"]) {
    const said = console[kind];
    console[kind] = (...words) => { troubles.push(words.join(" ")); said.apply(console, words); };
}
addEventListener("error", ({ message, target }) =>
    troubles.push(message ?? `${target.src ?? target.href} did not load`), true);
addEventListener("unhandledrejection", ({ reason }) => troubles.push(String(reason)));
</script>"""
TROUBLES = """() => [...troubles, ...performance.getEntriesByType("resource")
    .map(({ name }) => name).filter((name) => /^http/.test(name) && !name.startsWith(origin))
    .map((name) => `asks for ${name}`)]"""

# What the tests below ask of a page; `until` waits for a state, and says whether it came.
HELPERS = """() => {
    window.frame = () => new Promise((done) => requestAnimationFrame(done));
    window.patience = 30_000;
    window.pictures = [];
    window.until = async (holds, end = Date.now() + patience) => {
        while (!holds() && Date.now() < end) await frame();
        return Boolean(holds());
    };
    window.explorer = (number) => document.querySelectorAll(".descent-explorer")[number];
    window.find = (number, selector) => explorer(number).querySelector(selector);
}"""
MOUNT = """async () => {
    for (const place of document.querySelectorAll("[data-explorer]")) {
        place.scrollIntoView({ behavior: "instant" });
        if (!await until(() => "mounted" in place.dataset)) throw Error("an explorer stays still");
    }
    return [...document.querySelectorAll("[data-explorer]")].map((e) => e.dataset.explorer);
}"""
SEEN = """async (number) => {
    for (let left = 3; left; left -= 1) await frame(); // what was asked for is drawn by then
    const canvas = find(number, "canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return [pictures.push(data) - 1, find(number, ".de-status").textContent];
}"""
# WebKit draws one and the same picture now a shade lighter, now a shade darker.
LOOK_ALIKE = """(one, other) =>
    pictures[one].every((shade, at) => Math.abs(shade - pictures[other][at]) <= 32)"""
FOCUS = "(number, selector) => find(number, selector).focus()"
STANDS_AT = "(number, selector, at) => until(() => Number(find(number, selector).value) === at)"
VALUE = "(number, selector) => Number(find(number, selector).value)"
TEXT = "(number, selector) => find(number, selector)?.textContent"
TEXT_CHANGES = """(number, selector, from) =>
    until(() => find(number, selector).textContent !== from)"""
# Where on the screen an element lies, after scrolling to it: left, top, width, height.
PLACE = """(number, selector) => {
    const element = find(number, selector);
    element.scrollIntoView({ behavior: "instant", block: "center" });
    const { left, top, width, height } = element.getBoundingClientRect();
    return [left, top, width, height];
}"""
OPTIONS = """() => [...document.querySelectorAll(".de-predict")].map((question, q) => {
    const options = [...question.querySelectorAll("details")];
    options.forEach((option, o) => { option.id = `option-${q}-${o}`; });
    return options.map((option) => option.id);
})"""
FOCUS_OPTION = """(id) => {
    const option = document.getElementById(id);
    option.querySelector("summary").focus();
    return option.querySelector("p").checkVisibility();
}"""
ANSWER = """async (id) => {
    const answer = document.querySelector(`#${id} p`);
    const came = await until(() => answer.checkVisibility());
    return came && answer.querySelector("strong").textContent;
}"""


class Overheard(Quiet):
    """Serves pages with the spy in them."""

    def do_GET(self):
        file = Path(self.translate_path(self.path))
        if file.suffix != ".html" or not file.is_file():
            super().do_GET()
            return
        head, mark, rest = file.read_text("utf-8").partition("<head>")
        page = (head + mark + SPY + rest).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


class View:
    """One explorer of the page that an engine shows, and the state that it was built from."""

    def __init__(self, engine, number, spec):
        self.engine, self.number, self.spec = engine, number, spec

    def run(self, function, *values):
        return self.engine.run(function, self.number, *values)

    def seen(self):
        """The picture, as a number that `alike` understands, and what the status line says."""
        return self.run(SEEN)

    def alike(self, one, other):
        """Are the pictures equal, are the status lines equal, of what was seen twice?"""
        return self.engine.run(LOOK_ALIKE, one[0], other[0]), one[1] == other[1]

    def press(self, selector, key):
        self.run(FOCUS, selector)
        self.engine.press(key)

    def point_at(self, selector, x, y):
        """Where the point lies that is `x` of the element's width and `y` of its height away."""
        left, top, width, height = self.run(PLACE, selector)
        return left + x * width, top + y * height

    def click(self, selector, x=0.5, y=0.5):
        self.engine.click(*self.point_at(selector, x, y))

    def reset(self):
        self.press(".de-reset", "Enter")


@pytest.fixture(scope="module", params=[Chromium, Firefox, WebKit], ids=lambda kind: kind.__name__)
def engine(request, tmp_path_factory):
    kind = request.param
    if kind is Chromium:
        engine = Chromium(request.getfixturevalue("chromium"))
    elif kind.find():
        engine = kind(tmp_path_factory.mktemp("engine"))
    else:
        give_up(f"no {kind.__name__}: {HOW_TO_GET[kind]}")
    try:
        engine.start()
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="module")
def address(site):
    with served(site, Overheard) as address:
        yield address


@pytest.fixture
def visit(engine, address, site):
    """visit(page) → its explorers, ready to be moved."""

    def open_page(name):
        engine.open(address + name)
        engine.run(HELPERS)
        return [
            View(engine, number, spec_of(site / "_static" / "explorers" / f"{key}.js"))
            for number, key in enumerate(engine.run(MOUNT))
        ]

    return open_page


def spec_of(file):
    """What an explorer was built from, as its file on the site has it."""
    _, _, state = file.read_text("utf-8").partition(",")
    return json.loads(state.strip().removesuffix(");"))["spec"]


def differ(view, one, other, what):
    picture, status = view.alike(one, other)
    assert not picture, f"{what}: the picture stays the same"
    assert not status, f"{what}: the status line stays the same"


def keys_move(view, control):
    """From the first value to the last, and one step back."""
    name, last = f'[data-name="{control["name"]}"]', len(control["texts"]) - 1
    seen = []
    for key, at in (("Home", 0), ("End", last)):
        view.press(name, key)
        assert view.run(STANDS_AT, name, at), f"{control['label']}: {key} does not lead to {at}"
        seen.append(view.seen())
    differ(view, *seen, f"{control['label']}, by keyboard")
    view.press(name, "ArrowUp" if control["menu"] else "ArrowLeft")
    assert view.run(STANDS_AT, name, last - 1), f"{control['label']}: no step back"


def the_pointer_moves(view, control):
    """A slider follows a press on its ends. A menu's list belongs to the browser, not the page."""
    name, last = f'[data-name="{control["name"]}"]', len(control["texts"]) - 1
    if control["menu"]:
        return
    seen = []
    for x, at in ((0.01, 0), (0.99, last)):
        view.click(name, x)
        seen.append(view.seen())
        assert abs(view.run(VALUE, name) - at) <= 0.05 * last, f"{control['label']}: not at {at}"
    differ(view, *seen, f"{control['label']}, by pointer")


def the_picture_is_dragged(view, zone):
    """Wherever the pointer goes in the picture, the controls of this zone go along."""
    left, top, width, height = zone["box"]
    size = view.spec["width"], view.spec["height"]
    route = [(left + at * width, top + at * height) for at in (0.25, 0.75)]
    seen = []
    for place in route:
        on_screen = [view.point_at("canvas", x / size[0], y / size[1]) for x, y in (*route, place)]
        view.engine.drag(*on_screen)
        seen.append(view.seen())
        for control, position in zip(zone["controls"], place, strict=True):
            if control:
                distances = [abs(pixel - position) for pixel in control["pixels"]]
                at = view.run(VALUE, f'[data-name="{control["name"]}"]')
                assert abs(at - distances.index(min(distances))) <= 1, control["name"]
    differ(view, *seen, "dragging in the picture")


def play_moves_and_stops(view):
    view.reset()
    start, label = view.seen(), view.run(TEXT, ".de-play")
    with held_time(view.engine.run) as pass_time:
        view.press(".de-play", "Space")
        assert view.run(TEXT_CHANGES, ".de-play", label), "the button does not offer to pause"
        playing = view.run(TEXT, ".de-play")
        for _ in range(4):  # a control of five values moves every 1.25 seconds
            pass_time(0.5)
            if not view.alike(start, view.seen())[0]:
                break
        differ(view, start, view.seen(), "Play")
        if view.run(TEXT, ".de-play") == playing:  # at the end of the control it pauses by itself
            view.click(".de-play")
            assert view.run(TEXT_CHANGES, ".de-play", playing), "the button does not pause"
        paused = view.seen()
        pass_time(2)
        assert view.alike(paused, view.seen()) == (True, True), "it goes on after Pause"
    view.click(".de-reset")
    assert view.alike(start, view.seen()) == (True, True), "Reset does not lead back"


def predictions_answer(engine):
    for options in engine.run(OPTIONS):
        answers = []
        for option in options:
            assert not engine.run(FOCUS_OPTION, option), "an answer is open before the guess"
            engine.press("Enter")
            answers.append(engine.run(ANSWER, option))
        # One option of a prediction is right; of an observation some hold, and some do not.
        observed = {"✓ So it is.", "✗ Not so."}
        assert set(answers) == observed or sorted(answers) == sorted(
            ["✓ Yes."] + ["✗ Not so."] * (len(options) - 1)
        )


@pytest.mark.parametrize("name", ["index.html", *LESSON_PAGES])
def test_all_controls_move_by_keyboard_and_pointer_and_predictions_answer(name, visit, engine):
    for view in visit(name):
        for control in view.spec["controls"]:
            view.reset()
            keys_move(view, control)
            view.reset()
            the_pointer_moves(view, control)
        for zone in view.spec.get("drag") or []:
            the_picture_is_dragged(view, zone)
        if view.spec.get("play"):
            play_moves_and_stops(view)
    predictions_answer(engine)
    assert engine.run(TROUBLES) == []


# ------------------------------------------------------------------ and each of these can fail

# A control without its listeners, as if explore.js had forgotten them.
DEAF = """(number, selector) => {
    const control = find(number, selector);
    control.replaceWith(control.cloneNode(true));
}"""


def test_an_explorer_that_does_not_listen_is_noticed(visit):
    (view,) = visit(LESSON_PAGES[0])
    control = view.spec["controls"][0]
    view.run(DEAF, f'[data-name="{control["name"]}"]')
    for law in (keys_move, the_pointer_moves):
        with pytest.raises(AssertionError, match="stays the same"):
            law(view, control)
    (view,) = visit(LESSON_PAGES[0])
    view.run(DEAF, "canvas")
    with pytest.raises(AssertionError):
        the_picture_is_dragged(view, view.spec["drag"][0])


def test_a_prediction_that_does_not_answer_is_noticed(visit, engine):
    visit(LESSON_PAGES[0])
    engine.run("""() => addEventListener("keydown", (event) => event.preventDefault(), true)""")
    engine.run("() => { window.patience = 500; }")
    with pytest.raises(AssertionError):
        predictions_answer(engine)


def test_a_word_on_the_console_and_a_request_elsewhere_are_noticed(visit, engine):
    visit(LESSON_PAGES[0])
    assert engine.run(TROUBLES) == []
    engine.run("""async () => {
        console.error("one");
        setTimeout(() => { throw Error("two"); });
        document.head.append(Object.assign(document.createElement("script"), { src: "/three" }));
        await fetch(`http://localhost:${location.port}/four`, { mode: "no-cors" }).catch(() => {});
    }""")
    assert engine.run(f"""() => {{
        const all = {TROUBLES};
        const heard = (word) => all().some((trouble) => trouble.includes(word));
        return until(() => ["one", "two", "three", "four"].every(heard));
    }}""")


def test_a_script_that_fails_is_an_error(engine, visit):
    visit(LESSON_PAGES[0])
    with pytest.raises(Exception, match="spoilt") as caught:
        engine.run("() => { throw Error('spoilt'); }")
    assert isinstance(engine, Chromium) or caught.type is EngineError
