"""The reference pages: each docstring is in NumPy's form, and nothing in it is lost as markup."""

import importlib
import inspect
import io
import pkgutil

import pytest

import course_utils

napoleon = pytest.importorskip("sphinx.ext.napoleon", reason="comes with the site's own packages")
nodes = pytest.importorskip("docutils.nodes")
core = pytest.importorskip("docutils.core")

MODULES = [m.name for m in pkgutil.walk_packages(course_utils.__path__, "course_utils.")]
SETTINGS = napoleon.Config(napoleon_google_docstring=False, napoleon_use_ivar=True)


def read(text, kind):
    """The document that napoleon and docutils make of a docstring, and their complaints."""
    complaints = io.StringIO()
    settings = {"warning_stream": complaints, "report_level": 1, "halt_level": 5}
    rst = str(napoleon.NumpyDocstring(inspect.cleandoc(text), SETTINGS, what=kind))
    return core.publish_doctree(rst, settings_overrides=settings), complaints.getvalue()


def documented(module):
    """(kind, docstring) of a module and of what is public and written in it."""
    found = [("module", module)]
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", "") != module.__name__:
            continue
        found.append(("class" if inspect.isclass(thing) else "function", thing))
        if inspect.isclass(thing):
            own = [m for k, m in vars(thing).items() if k[0] != "_" and inspect.isfunction(m)]
            found += [("method", m) for m in own if m.__module__ == module.__name__]
    return [(kind, thing.__doc__) for kind, thing in found if thing.__doc__]


SECTIONS = {"Parameters", "Attributes", "Returns", "Raises"}  # become fields with names of theirs


def letters(text):
    return "".join(c for c in text if c.isalnum())


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_are_read_without_complaint_and_keep_their_words(name):
    for kind, text in documented(importlib.import_module(name)):
        tree, complaints = read(text, kind)
        assert complaints == "", text
        shown = letters(tree.astext())
        lost = {word for word in text.split() if letters(word) not in shown}
        assert lost <= SECTIONS, text
        # An indented text without "::" before it is a quotation; its lines would run together.
        assert [quote.astext() for quote in tree.findall(nodes.block_quote)] == [], text


def test_parameters_and_attributes_become_lists_of_fields():
    text = """Title.

    {}
    ---
    x, y
        numbers,
        and more.
    """
    expected = {"Parameters": ["param x", "param y"], "Attributes": ["ivar x, y"]}
    for section, fields in expected.items():
        tree, complaints = read(text.format(section), "class")
        assert complaints == ""
        assert [node.astext() for node in tree.findall(nodes.field_name)] == fields


@pytest.mark.parametrize("text", ["Mean |a| of it.", "Shape (*runs, n).", "A\n\nx : y\n    z\n  w"])
def test_what_would_be_taken_for_markup_is_complained_of(text):
    assert read(text, "function")[1] != ""
