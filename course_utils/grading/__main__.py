"""``python -m course_utils.grading``: what `run.py homework` hands over to."""

import sys

from course_utils.grading.cli import main

sys.exit(main())
