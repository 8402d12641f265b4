"""``python -m grading``: what `run.py homework` hands over to."""

import sys

from grading.cli import main

sys.exit(main())
