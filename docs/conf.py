"""Settings of Sphinx for the site; `run.py site` (tools/site) prepares the pages and calls it.

Mathematics is turned into MathML here and set by the browser itself, in a font that the site
serves: no script, and screen readers can read it.
"""

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.util import logging

from tools.notebooks import ROOT
from tools.site.settings import PROJECT, REPOSITORY

project = "Descent"
author = PROJECT["authors"][0]["name"]
project_copyright = f"{author}. Text and figures CC BY 4.0, code BSD-3-Clause"
version = release = PROJECT["version"]
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
show_warning_types = True

# --- Pages ----------------------------------------------------------------------------------------

nb_execution_mode = "off"  # the notebooks come executed
nb_ipywidgets_js = {}  # explorers are mounted by site.js
myst_enable_extensions = ["dollarmath"]  # nothing that JupyterLab would show otherwise
myst_heading_anchors = 3
myst_update_mathjax = False

# --- Reference from docstrings --------------------------------------------------------------------

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # shapes and types stand in the text, and are easier to read there
autodoc_preserve_defaults = True
add_module_names = False
napoleon_google_docstring = False  # docstrings are in NumPy's form
napoleon_use_ivar = True  # attributes as a list; those with a default are members besides
napoleon_attr_annotations = False  # as above: what it is stands in the text
default_role = "py:obj"  # `name` leads to what it names, where that has a page

# --- Looks ----------------------------------------------------------------------------------------

html_theme = "sphinx_book_theme"
html_title = "Descent"
html_favicon = "_static/favicon.svg"  # without one, browsers ask for a file that is not there
html_static_path = ["_static"]  # tools/site adds the folder of what it made
html_css_files = ["explore.css", "site.css"]
html_js_files = [(name, {"defer": "defer"}) for name in ("explore.js", "site.js")]
html_sourcelink_suffix = ""
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_theme_options = {
    "repository_url": REPOSITORY,
    "repository_branch": "main",
    "use_repository_button": True,
    "use_download_button": True,
    "launch_buttons": {
        "binderhub_url": "https://mybinder.org",
        "notebook_interface": "jupyterlab",
    },
    "navigation_with_keys": False,  # the arrow keys belong to the explorers
    "navbar_persistent": [],  # the search stands in the sidebar already
    "show_toc_level": 2,
    "home_page_in_toc": False,
}


def skip_what_is_not_ours(app, what, name, obj, skip, options):
    """Leave out what a library put into one of our classes."""
    ours = getattr(obj, "__module__", "course_utils").startswith("course_utils")
    return None if ours else True


def name_no_folder(app, what, name, obj, options, signature, return_annotation):
    """A default that is a path of the machine that builds: told from the repository's root on."""
    if signature and f"{ROOT.as_posix()}/" in signature:
        return signature.replace(f"{ROOT.as_posix()}/", ""), return_annotation


def show_mathml(translator, node):
    display = isinstance(node, nodes.math_block)
    try:
        mathml = translator.builder.mathml.convert_with_local_state(
            node.astext(), displaystyle=display
        )
    except LatexError as error:
        logging.getLogger(__name__).warning("mathematics: %s", error, location=node, type="math")
        mathml = ""
    tag = "div" if display else "span"
    translator.body.append(f'<{tag} class="math notranslate">{mathml}</{tag}>')
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (show_mathml, None), (show_mathml, None))
    app.connect("builder-inited", make_converter)
    app.connect("autodoc-process-signature", name_no_folder)
    app.connect("autodoc-skip-member", skip_what_is_not_ours)


def make_converter(app):
    app.builder.mathml = LatexToMathML(annotation=True)  # the source too, for those who copy it
