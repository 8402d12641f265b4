"""The course as web pages that need no server: built from the notebooks, in build/site/html.

    python -m tools.site                   build the site
    python -m tools.site --output FOLDER   build it there

`run.py site` calls this. Nothing is fetched, neither now nor by the pages later: explorers run
from the state that a kernel left (docs/_static/site.js), mathematics is MathML in a font that
is served along. The lessons stay what they are; whatever the web needs is done to copies of them.
"""

from tools.site.cache import executed
from tools.site.settings import BINDER, REPOSITORY, SiteError

__all__ = ["BINDER", "REPOSITORY", "SiteError", "executed"]
