"""For instructors: hand out homework, grade it safely, give feedback that helps.

`python3 run.py homework COMMAND` (module `cli`) goes from the sources in `homework/` to a table of
grades: `release`, `archive`, `collect`, `grade`, `feedback`, `export`, one module each. `grade`
runs every submission in a sandbox, and its tests in another kernel (`grader`, `batch`). No lesson
uses this.
"""
