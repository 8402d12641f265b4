"""Docstrings as reStructuredText: what they say stays, and nothing in them is taken for markup."""

import importlib
import inspect
import io
import pkgutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import course_utils
from tools.docstrings import to_rst

core = pytest.importorskip("docutils.core", reason="comes with the site's own packages")


def read(lines):
    """The document that docutils makes of it, and docutils' complaints."""
    complaints = io.StringIO()
    settings = {"warning_stream": complaints, "report_level": 1, "halt_level": 5}
    tree = core.publish_doctree("\n".join(to_rst(lines)), settings_overrides=settings)
    return tree, complaints.getvalue()


def kinds(text):
    return [node.tagname for node in read(inspect.cleandoc(text).splitlines())[0].children]


MODULES = [m.name for m in pkgutil.iter_modules(course_utils.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_every_docstring_of_the_package_is_well_formed_and_keeps_its_words(name):
    module = importlib.import_module(f"course_utils.{name}")
    own = [o for o in vars(module).values() if getattr(o, "__module__", "") == module.__name__]
    for thing in [module, *own]:
        lines = (inspect.getdoc(thing) or "").splitlines()
        tree, complaints = read(lines)
        assert complaints == ""
        said = "".join(c for c in " ".join(lines) if c.isalnum())
        shown = "".join(c for c in tree.astext() if c.isalnum())
        assert shown == said or "1." in " ".join(lines)  # a list's numbers are not its text


text = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30)
line = st.builds(
    str.__add__,
    st.sampled_from(["", "    ", "x : ", "- ", "1. ", ".. ", ">>> ", "===", "---", "``", "*", "|"]),
    text,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(line, max_size=8))
def test_whatever_stands_in_a_docstring_docutils_does_not_complain(lines):
    assert read(lines)[1] == ""


def test_stars_bars_and_underscores_are_themselves():
    tree, _ = read(["Shape (*runs, n), mean |a|, **options, name_ and `x_` with ``*y``."])
    assert tree.astext() == "Shape (*runs, n), mean |a|, **options, name_ and x_ with *y."
    assert [node.astext() for node in tree.findall(lambda n: n.tagname == "literal")] == [
        "x_",
        "*y",
    ]


def test_names_with_what_they_are_become_a_list_of_definitions_however_they_are_written():
    with_colon = """
        Title.

        x : a number,
            and more of it.
        y : another
        """
    assert kinds(with_colon) == ["paragraph", "definition_list"]
    assert kinds(with_colon.replace(" : ", "   ")) == ["paragraph", "definition_list"]
    raises = """
        Title.

        Raises
        ------
        ValueError
            it is wrong.
        """
    assert kinds(raises) == ["paragraph", "rubric", "definition_list"]


def test_tables_and_sessions_are_shown_as_they_stand():
    table = "=== ===\na   |b|\n=== ==="
    tree, _ = read(["Title.", "", *table.splitlines()])
    assert tree.children[1].tagname == "literal_block" and tree.children[1].astext() == table
