"""For instructors: hand out homework, grade it safely, give feedback that helps.

`python3 run.py homework COMMAND` (module `cli`) goes from the sources in `homework/` to a table of
grades. The rooms, each of which uses only those below it:

- `cli`: the commands.
- `term`: `release`, `collect`, `roster`, `feedback`, `export`: what is done with everybody's work.
- `run`: `batch`, `workers`, `submission`, `intake`: how submissions are graded.
- `sandbox`: the walls around strangers' code, and the line that leads through them.
- `course`, `cells`, `files`: where everything lies, and what a cell is.
- `inside`: what runs within the walls. Of this package nothing else can be seen there.
"""
