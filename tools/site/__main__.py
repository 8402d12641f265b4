"""`python -m tools.site`, which `run.py site` calls."""

import sys

from tools.site.build import main

if __name__ == "__main__":  # processes that execute lessons import this file once more
    sys.exit(main())
