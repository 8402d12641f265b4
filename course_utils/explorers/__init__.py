"""The explorers of the course: compute every position, draw the stage, let the reader move.

Each has a pure function ``settings → numbers`` (its name ends in `_at`), which the tests call,
and a function of the explorer's name, which a lesson calls: ``explorers.secant(…)``. A module has
the name of its lesson; what it names in `__all__` stands here, too.
"""

from course_utils.explorers.lesson00 import *
from course_utils.explorers.lesson01 import *
from course_utils.explorers.lesson02 import *
from course_utils.explorers.lesson03 import *
from course_utils.explorers.lesson04 import *
from course_utils.explorers.lesson05 import *
from course_utils.explorers.lesson05_ball import *
from course_utils.explorers.lesson06 import *
from course_utils.explorers.lesson07 import *
from course_utils.explorers.lesson08 import *
