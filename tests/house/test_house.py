"""The rules of the house are kept by tools: layout, names, floors, types, short functions."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 45  # lines of a body, without its docstring
REASON = "# Long because"


def tool(*command):
    """Run a tool of the group `lint`, which must find nothing."""
    name, *arguments = command
    program = shutil.which(name, path=str(Path(sys.executable).parent))
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is missing: run the tests with `python3 run.py test`")
        pytest.skip(f"{name} is not installed here: `python3 run.py test` brings it")
    done = subprocess.run(
        [program, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def sources():
    done = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def bodies(text):
    """(name, lines of its body, whether a reason stands above it) for each function of a module."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            above = min([node, *node.decorator_list], key=lambda n: n.lineno).lineno - 2
            while above > 0 and lines[above - 1].lstrip().startswith("#"):
                above -= 1
            yield node.name, length, REASON in "\n".join(lines[max(above, 0) : node.lineno])


def too_long(text):
    return [name for name, length, reason in bodies(text) if length > LONGEST and not reason]


def test_the_linter_finds_nothing():
    tool("ruff", "check", "--no-cache", ".")


def test_all_code_is_laid_out_by_the_formatter():
    tool("ruff", "format", "--no-cache", "--check", ".")


def test_no_line_is_kept_from_the_formatter_without_a_reason():
    kept = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if path != Path(__file__) and ("# fmt: skip" in line or "# fmt: off" in line)
        if not line.partition("# fmt: ")[2].partition(" ")[2].strip()
    ]
    assert kept == [], "write why: `# fmt: skip  # a table of numbers`"


def test_every_room_imports_only_what_it_may():
    said = tool("lint-imports", "--no-cache")
    assert "0 broken" in said and " 0 kept" not in said


@pytest.mark.slow  # and it looks into all packages that any room uses
def test_types_hold_where_they_are_promised():
    assert "0 errors" in tool("basedpyright")


def test_no_function_is_long_without_a_reason():
    found = {
        str(path.relative_to(ROOT)): names
        for path in sources()
        if (names := too_long(path.read_text(encoding="utf-8")))
    }
    assert found == {}, f"over {LONGEST} lines: split it, or write `{REASON} …` above it"


def test_the_measure_of_functions_sees_long_ones_and_reads_reasons():
    body = "    x = 1\n" * (LONGEST + 1)
    assert too_long(f"def f():\n{body}") == ["f"]
    assert too_long(f'def f():\n    """Says\n\n    what it is.\n    """\n{body}') == ["f"]
    assert too_long(f"def f():\n{body.removesuffix(body[:10])}") == []
    assert too_long(f"# Long because it is a table.\n@cache\ndef f():\n{body}") == []
    assert too_long(f"class C:\n    def f(self):\n{body.replace('    ', '        ')}") == ["f"]
