"""The site, as a reader meets it: each page is visited once, alone with its own server.

`visits` opens every page in the browser and writes down what there is to see: on a wide screen,
in the dark theme, on a phone. Each test then states one law about all pages. Whatever a page asks
of another server is refused and noted.
"""

import re
import urllib.parse

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tools.notebooks import LESSONS, ROOT
from tools.site import BINDER, REPOSITORY

from .lab import VIEWPORT, Explorer, eventually, new_context
from .site import served

PHONE = {"width": 360, "height": 740}
LESSON_NAMES = [path.stem for path in sorted(LESSONS.glob("*.ipynb"))]
GRAVE = ("serious", "critical")
# Code is thousands of coloured words in the same few colours: looked at on one page.
CODE, PAGE_WITH_CODE = ".highlight", f"notebooks/{LESSON_NAMES[0]}.html"

LOOK = """() => ({
    links: [...document.links].map((a) => a.href),
    icon: document.querySelector('link[rel~=icon]')?.href,
    ids: [...document.querySelectorAll('[id], a[name]')].map((e) => e.id || e.name),
    images: [...document.images].map((i) => [i.src, i.alt, i.complete && i.naturalWidth > 0]),
    unnamed: [...document.querySelectorAll('canvas')].filter((c) => !c.ariaLabel).length,
    code: [...document.querySelectorAll('.cell_input')].map((e) => e.textContent),
})"""

# A formula in a fold has its width once the fold is open.
FORMULAS = """() => {
    const folds = [...document.querySelectorAll('details:not([open])')];
    folds.forEach((fold) => { fold.open = true; });
    const formulas = [...document.querySelectorAll('.math')].map((e) => [
        e.textContent,
        e.querySelector("math") && !e.querySelector("merror")
            && e.getBoundingClientRect().width > 0,
    ]);
    folds.forEach((fold) => { fold.open = false; });
    return formulas;
}"""
# The elements that make the page wider than the screen, if it is.
TOO_WIDE = """() => document.documentElement.scrollWidth <= window.innerWidth ? []
    : [...document.querySelectorAll('main *')]
        .filter((e) => e.scrollWidth > Math.max(e.clientWidth, window.innerWidth) + 1
            || e.getBoundingClientRect().right > window.innerWidth + 1)
        .map((e) => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 60)}`).slice(0, 5)"""
# What scrolls sideways has to be reached with the keyboard.
UNREACHABLE = """() => [...document.querySelectorAll('main pre, main table, main div')]
    .filter((e) => e.scrollWidth > e.clientWidth + 1 && e.tabIndex < 0
        && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))
    .map((e) => e.outerHTML.slice(0, 200))"""
STILL = "* { transition: none !important; animation: none !important; }"  # colours as they end


@pytest.fixture(scope="module")
def address(site):
    with served(site) as address:
        yield address


@pytest.fixture(scope="module")
def reader(chromium, address):
    """reader(**options) → a page that reaches nothing but the site; it lists its troubles."""
    contexts = []

    def new_page(**options):
        context = new_context(chromium, **options)
        contexts.append(context)
        page = context.new_page()
        page.troubles = []

        def refuse(route):
            page.troubles.append(f"asks for {route.request.url}")
            route.abort()

        def heard(message):
            if message.type in ("error", "warning"):
                page.troubles.append(message.text)

        page.route(lambda url: not url.startswith((address, "file:", "data:", "blob:")), refuse)
        page.on("console", heard)
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("response", lambda r: r.ok or page.troubles.append(f"{r.status}: {r.url}"))
        return page

    yield new_page
    for context in contexts:
        context.close()


def mount_explorers(page):
    """Scroll to each explorer, and wait until it can move."""
    for place in page.locator("[data-explorer]").all():
        place.scroll_into_view_if_needed()
        expect(place.locator(".de-status")).not_to_be_empty()
        expect(place).to_have_attribute("data-mounted", "")


def faults(page, *rules, without=()):
    """What axe-core calls a serious or critical fault, each with its first place."""
    options = {"preload": False, "resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    context = {"exclude": [[selector] for selector in without]} if without else None
    found = Axe().run(page, context=context, options=options).response["violations"]
    return [
        f"{fault['id']}: {fault['nodes'][0]['html'][:200]} ({len(fault['nodes'])} ×)"
        for fault in found
        if fault["impact"] in GRAVE
    ]


def left_of(page, faults):
    """What a script finds when the page, and the theme, have had their moment to mend it."""
    eventually(page, lambda: not page.evaluate(faults))
    return page.evaluate(faults)


@pytest.fixture(scope="module")
def visits(site, address, reader):
    """Page → what was seen there."""
    page, seen = reader(), {}
    for file in sorted(site.rglob("*.html")):
        name = file.relative_to(site).as_posix()
        if name.startswith("_static"):
            continue
        page.troubles.clear()
        page.set_viewport_size(VIEWPORT)
        page.goto(address + name)
        page.add_style_tag(content=STILL)
        mount_explorers(page)
        page.evaluate("for (const image of document.images) image.loading = 'eager'")
        page.wait_for_function("() => [...document.images].every((image) => image.complete)")
        visit = seen[name] = page.evaluate(LOOK)
        visit["formulas"] = page.evaluate(FORMULAS)
        without = () if name == PAGE_WITH_CODE else (CODE,)
        visit["light"] = faults(page, without=without)
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        visit["dark"] = faults(page, "color-contrast", without=without)
        page.set_viewport_size(PHONE)
        visit["wide"] = left_of(page, TOO_WIDE)
        visit["unreachable"] = left_of(page, UNREACHABLE)
        visit["troubles"] = list(page.troubles)
    return seen


def over(visits, what):
    """Page → what `what(visit)` finds there, where it finds anything."""
    found = {name: what(visit) for name, visit in visits.items()}
    return {name: value for name, value in found.items() if value}


def test_every_lesson_and_every_kind_of_page_is_there(visits):
    kinds = ["index", "glossary", "search", "genindex", "maintainers", "contributing", "api/index"]
    lessons = [f"notebooks/{name}" for name in LESSON_NAMES]
    package = ROOT / "course_utils"
    names = [p.stem for p in package.glob("*.py")] + [
        p.parent.name for p in package.glob("*/__init__.py")
    ]
    modules = [f"api/{name}" for name in names if not name.startswith("_")]
    assert {f"{name}.html" for name in kinds + lessons + modules} <= set(visits)
    assert len(lessons) > 4 and len(modules) > 8


def test_no_page_asks_another_server_or_writes_an_error(visits):
    assert over(visits, lambda visit: visit["troubles"]) == {}


def test_every_page_has_an_icon_so_that_no_browser_asks_for_one_in_vain(visits, site, address):
    icons = {visit["icon"] for visit in visits.values()}
    assert len(icons) == 1
    assert (site / icons.pop().removeprefix(address)).is_file()


def test_no_page_tells_where_it_was_built(visits, site):
    told = [name for name in visits if ROOT.as_posix() in (site / name).read_text("utf-8")]
    assert told == []


def test_every_link_leads_somewhere(visits, site, address):
    def broken(visit):
        lost = []
        for link in visit["links"]:
            target, _, anchor = link.partition("#")
            if not target.startswith(address):
                continue
            name = urllib.parse.unquote(target.removeprefix(address).partition("?")[0])
            page = visits.get(name or "index.html")
            if page is None and not (site / name).is_file():
                lost.append(link)
            elif page and anchor and urllib.parse.unquote(anchor) not in page["ids"]:
                lost.append(link)
        return lost

    assert sum(len(visit["links"]) for visit in visits.values()) > 1000
    assert over(visits, broken) == {}


def test_links_to_the_repository_name_files_that_are_in_it(visits):
    prefix = re.compile(re.escape(REPOSITORY) + r"/(?:blob|tree)/main/([^#?]+)")
    named = {m[1] for visit in visits.values() for m in map(prefix.match, visit["links"]) if m}
    assert "constraints.txt" in named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_picture_is_there_and_says_what_it_shows(visits):
    pictures = [image for visit in visits.values() for image in visit["images"]]
    assert len(pictures) > 15
    assert over(visits, lambda v: [i for i in v["images"] if not all(i)]) == {}
    assert over(visits, lambda visit: visit["unnamed"]) == {}


def test_every_formula_is_set(visits):
    assert sum(len(visit["formulas"]) for visit in visits.values()) > 100
    assert (
        over(visits, lambda visit: [text for text, right in visit["formulas"] if not right]) == {}
    )


@pytest.mark.parametrize("look", ["light", "dark"])
def test_axe_finds_no_grave_fault(visits, look):
    assert over(visits, lambda visit: visit[look]) == {}


def test_no_page_is_wider_than_a_phone(visits):
    assert over(visits, lambda visit: visit["wide"]) == {}


def test_what_scrolls_on_a_phone_is_reached_by_keyboard(visits):
    assert over(visits, lambda visit: visit["unreachable"]) == {}


def test_no_code_gives_a_predictions_answer_away(visits):
    assert over(visits, lambda v: [code for code in v["code"] if "answer=" in code]) == {}


@pytest.mark.parametrize("name", LESSON_NAMES)
def test_each_lesson_offers_itself_on_binder_and_as_its_own_file(name, visits, site):
    links = visits[f"notebooks/{name}.html"]["links"]
    assert any(link.startswith(BINDER) and link.endswith(f"{name}.ipynb") for link in links)
    (copy,) = {link for link in links if link.endswith(f"_sources/notebooks/{name}.ipynb")}
    offered = site / "_sources" / "notebooks" / copy.rsplit("/", 1)[1]
    assert offered.read_bytes() == (LESSONS / f"{name}.ipynb").read_bytes()


def test_the_course_is_found_by_its_words_and_in_korean(address, reader):
    page = reader()
    for word in ("backpropagation", "경사하강법"):
        page.goto(f"{address}search.html?q={word}")
        expect(page.locator("#search-results li").first).to_be_visible()
        found = page.locator("#search-results li a").evaluate_all("all => all.map((a) => a.href)")
        assert any("/notebooks/" in link or "/glossary" in link for link in found)
    assert page.troubles == []


def test_a_page_from_a_folder_on_a_disk_moves_as_well(site, reader):
    page = reader()
    page.goto((site / "notebooks" / f"{LESSON_NAMES[1]}.html").as_uri())
    mount_explorers(page)
    explorer = Explorer(page, page.locator(".descent-explorer").first)
    before, after = explorer.move(explorer.controls[0])
    assert before != after and page.troubles == []


def test_without_scripts_pictures_stand_and_predictions_answer(address, reader):
    page = reader(java_script_enabled=False)
    page.goto(f"{address}notebooks/{LESSON_NAMES[0]}.html")
    still = page.locator("figure.descent[data-explorer] img")
    expect(still).to_be_visible()
    assert "map" in still.get_attribute("alt")
    option = page.locator(".de-predict details").first
    option.locator("summary").click()
    expect(option.locator("p")).to_be_visible()


def test_an_explorer_whose_state_is_lost_keeps_its_picture(address, reader):
    page = reader()
    page.route("**/explorers/*.js", lambda route: route.abort())
    page.goto(f"{address}notebooks/{LESSON_NAMES[0]}.html")
    place = page.locator("figure[data-explorer]")
    place.scroll_into_view_if_needed()
    assert eventually(page, lambda: any("did not load" in trouble for trouble in page.troubles))
    expect(place.locator("img")).to_be_visible()


def test_the_measurements_can_fail(address, reader):
    page = reader(viewport=PHONE)
    page.goto(f"{address}search.html")
    page.evaluate("""() => document.querySelector('main').insertAdjacentHTML('beforeend', `
        <img src="https://example.org/x.png">
        <p style="color: #aaa; background: #fff">pale</p>
        <div style="width: 900px">wide</div>
        <div style="overflow-x: auto; width: 9em"><p style="width: 90em">scrolls</p></div>`)
    """)
    found = " ".join(faults(page))
    assert "image-alt" in found and "color-contrast" in found
    assert page.evaluate(TOO_WIDE) and page.evaluate(UNREACHABLE)
    assert eventually(page, lambda: "asks for https://example.org/x.png" in page.troubles)
