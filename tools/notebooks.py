"""Execute notebooks in a fresh kernel and write them so that a diff shows only what changed.

    python -m tools.notebooks              every lesson
    python -m tools.notebooks 01           one lesson: its number, name or path
    python -m tools.notebooks --check      would anything change? Writes nothing

`run.py build` calls this. The notebooks with their outputs are the course's source, so a rebuild
without a change must be equal to the last byte: no times, no versions of Python, no addresses of
objects, and no widget state, which is large and random; a picture stands in its place.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from tools import files

__all__ = [
    "NotebookError",
    "build",
    "canonical",
    "execute",
    "find",
    "kernel_environment",
    "rerun",
    "to_text",
    "with_seed",
]

ROOT = Path(__file__).resolve().parent.parent
LESSONS = ROOT / "notebooks"
CELL_TIMEOUT = 300  # seconds; a lesson's cell takes a few
VIEW = "application/vnd.jupyter.widget-view+json"

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# Without the version, which differs from one machine to the next; with what `nbconvert --to script`
# calls its file.
LANGUAGE = {"name": "python", "file_extension": ".py"}
KEPT_CELL_METADATA = ("tags", "jupyter", "nbgrader", "editable", "deletable")


class NotebookError(Exception):
    """A cell failed, or a name names no notebook. The message says which, for a reader."""


# --- executing -------------------------------------------------------------------------------


def kernel_environment() -> dict[str, str]:
    """Environment variables that make a kernel compute the same on every run.

    One thread, because sums in another order differ in their last digit; this checkout's
    packages first; and no start-up files of the user's IPython.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": path,
        # Of two kernels called python3, take the one of this environment, not the user's own.
        "JUPYTER_PREFER_ENV_PATH": "1",
    }


def execute(notebook: NotebookNode, name: str = "notebook", cwd: Path = LESSONS) -> NotebookNode:
    """A copy of the notebook, executed in a fresh kernel; with widget views and state.

    Parameters
    ----------
    notebook : it is not changed.
    name : what an error message calls it.
    cwd : the folder its code runs in.

    Raises
    ------
    NotebookError : a cell raised (and is not tagged raises-exception), took too long, or killed
        the kernel. The message has the notebook, the cell's number, its first line, the error.
    """
    executed = copy.deepcopy(notebook)
    errors = _run([executed], name, cwd)
    if errors:
        raise NotebookError(errors[0])
    return executed


def rerun(
    notebook: NotebookNode, seeds: Iterable[int], name: str = "notebook", cwd: Path = LESSONS
) -> list[str]:
    """Run the notebook with each of these seeds; return what went wrong, [] if nothing did.

    One kernel runs them all, with an empty namespace for each, because starting and importing
    takes longer than most lessons.
    """
    seeds = list(seeds)
    versions = [with_seed(notebook, seed) for seed in seeds]
    return _run(versions, name, cwd, [f" with SEED = {seed}" for seed in seeds])


def with_seed(notebook: NotebookNode, seed: int) -> NotebookNode:
    """A copy in which the line `SEED = …` of the cell tagged `parameters` has another value."""
    result = copy.deepcopy(notebook)
    cells = [c for c in result.cells if c.cell_type == "code" and "parameters" in tags(c)]
    if len(cells) != 1:
        raise NotebookError(f"expected one code cell tagged `parameters`, found {len(cells)}")
    cells[0].source, replaced = re.subn(r"(?m)^SEED = \d+$", f"SEED = {seed}", cells[0].source)
    if replaced != 1:
        raise NotebookError("the cell tagged `parameters` needs one line of its own: SEED = 0")
    return result


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _run(
    versions: Sequence[NotebookNode], name: str, cwd: Path, labels: Sequence[str] = ("",)
) -> list[str]:
    """Execute notebooks in place, one after the other in one kernel; return their errors."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = kernel_environment()["JUPYTER_PREFER_ENV_PATH"]
    errors = []
    with tempfile.TemporaryDirectory() as settings:
        environment = {**os.environ, **kernel_environment(), "IPYTHONDIR": settings}
        config = Config()
        if os.name == "posix":  # files: a free port may be taken before the kernel opens it
            config.KernelManager.update(transport="ipc", ip=os.path.join(settings, "kernel"))
        client = NotebookClient(
            versions[0],
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            record_timing=False,
            config=config,
            resources={"metadata": {"path": str(cwd)}},
            extra_arguments=["--IPKernelApp.log_level=40"],  # errors only
        )
        client.reset_execution_trackers()
        with client.setup_kernel(env=environment):
            client.set_widgets_metadata()
            for number, (notebook, label) in enumerate(zip(versions, labels, strict=True)):
                if number:
                    _forget_everything(client)
                client.nb = notebook
                try:
                    for index, cell in enumerate(notebook.cells):
                        client.execute_cell(cell, index)
                except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                    errors.append(_explain(error, name + label, index, cell))
                    if isinstance(error, DeadKernelError):
                        break
                client.set_widgets_metadata()
    return errors


def _forget_everything(client: NotebookClient) -> None:
    client.reset_execution_trackers()
    reset = nbformat.v4.new_code_cell("%reset -f")
    client.nb = nbformat.v4.new_notebook(cells=[reset])
    client.execute_cell(reset, 0)


def _explain(error: Exception, name: str, index: int, cell: NotebookNode) -> str:
    if isinstance(error, CellExecutionError):
        what = f"{error.ename}: {error.evalue}"
    elif isinstance(error, CellTimeoutError):
        what = f"took longer than {CELL_TIMEOUT} seconds"
    else:
        what = "the kernel died"
    first_line = cell.source.strip().splitlines()[0]
    return f"{name}, cell {index + 1} (`{first_line}`): {what}"


# --- the canonical form ----------------------------------------------------------------------


def canonical(notebook: NotebookNode, *, with_state: bool = False) -> NotebookNode:
    """A copy in the one form in which notebooks are stored.

    Kept: sources, cell ids, tags, outputs. Fixed: kernelspec, language, execution counts 1…n.
    Merged: neighbouring pieces of the same stream. Dropped: times, the rest of the metadata,
    frames of a traceback that lie in files (their paths are those of one machine), and, where a
    picture or a text stands beside them, widget views, the widgets' state, and the HTML that
    repeats a picture for screen readers.

    `with_state` keeps views and state: for a page that has no kernel, where explorers move.
    """
    result = copy.deepcopy(notebook)
    state = result.metadata.get("widgets")
    result.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": LANGUAGE})
    if with_state and state:
        result.metadata["widgets"] = state
    result.nbformat, result.nbformat_minor = 4, 5  # the first with cell ids

    count = 0
    for position, cell in enumerate(result.cells, start=1):
        cell.setdefault("id", f"cell-{position}")
        cell.metadata = _kept(cell.metadata)
        if cell.cell_type != "code":
            continue
        if cell.execution_count is not None:
            count += 1
            cell.execution_count = count
        cell.outputs = [_canonical_output(o, cell, with_state) for o in _merged(cell.outputs)]
    nbformat.validate(result)
    return result


def to_text(notebook: NotebookNode) -> str:
    """The notebook as it stands in its file."""
    text = nbformat.writes(notebook, version=nbformat.NO_CONVERT, indent=1, ensure_ascii=False)
    return text.rstrip("\n") + "\n"


def _kept(metadata: NotebookNode) -> NotebookNode:
    kept = NotebookNode({k: metadata[k] for k in KEPT_CELL_METADATA if k in metadata})
    if "jupyter" in kept:  # JupyterLab also writes down that something is *not* hidden
        kept.jupyter = {key: value for key, value in kept.jupyter.items() if value}
    return NotebookNode({key: value for key, value in kept.items() if value not in ([], {})})


def _merged(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """Printed text arrives in pieces, cut by chance: join those of the same stream."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        if (
            last is not None
            and output.output_type == last.output_type == "stream"
            and output.name == last.name
        ):
            last.text += output.text
        else:
            merged.append(output)
    return merged


def _canonical_output(output: NotebookNode, cell: NotebookNode, with_state: bool) -> NotebookNode:
    if output.output_type == "execute_result":
        output.execution_count = cell.execution_count
    if output.output_type == "error":
        frames = [(frame, re.sub(r"\x1b\[[\d;]*m", "", frame)) for frame in output.traceback]
        output.traceback = [frame for frame, plain in frames if not plain.startswith("File ")]
    data = output.get("data", {})
    if VIEW in data and len(data) > 1 and not with_state:
        del data[VIEW]
        output.metadata.pop(VIEW, None)
    if is_picture_again(data) and not with_state:
        del data["text/html"]
    return output


def is_picture_again(data: dict) -> bool:
    """Is the HTML of this output only the PNG beside it, with its alt text?"""
    html = "".join(data.get("text/html", ""))
    return "image/png" in data and html.startswith('<img class="descent-picture"')


# --- finding, building, checking -----------------------------------------------------------


def find(names: Iterable[str], folder: Path = LESSONS) -> list[Path]:
    """The notebooks called by these names: "01", "01_gradients", or a path. No name: all."""
    known = sorted(folder.glob("*.ipynb"))
    names = list(names)
    if not names:
        return known
    found = []
    for name in names:
        if Path(name).suffix == ".ipynb" and Path(name).is_file():
            found.append(Path(name).resolve())
            continue
        stem = Path(name).name.removesuffix(".ipynb")
        matches = [p for p in known if stem in (p.stem, p.stem.split("_")[0])]
        if len(matches) != 1:
            there = ", ".join(p.stem for p in known) or "none yet"
            raise NotebookError(f"no notebook is called {name!r}; there are: {there}")
        found += matches
    return found


def build(path: Path, *, check: bool = False) -> str:
    """Execute the notebook at `path` and write it canonically; with `check`, do not write.

    Returns what changed, in a few words, or "" if every byte is as it was. The file is replaced
    at once when all is done: an error leaves it as it was.
    """
    old = path.read_bytes()
    notebook = nbformat.read(path, as_version=4)
    built = canonical(execute(notebook, _shown(path), path.parent))
    new = to_text(built).encode("utf-8")
    if new == old:
        return ""
    if not check:
        files.replace(path, new)
    for number, (before, after) in enumerate(zip(notebook.cells, built.cells, strict=True), 1):
        if before != after:
            return f"cell {number} changed"
    return "only its format changed"


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="run.py build", description="Execute notebooks and write them canonically."
    )
    parser.add_argument("names", nargs="*", help="01, 01_gradients, or a path; all if none")
    parser.add_argument("--check", action="store_true", help="say what would change; write nothing")
    options = parser.parse_args(arguments)
    failed = False
    try:
        paths = find(options.names)
    except NotebookError as error:
        print(error, file=sys.stderr)
        return 2
    for path in paths:
        try:
            changed = build(path, check=options.check)
        except NotebookError as error:
            print(f"✗ {error}", file=sys.stderr, flush=True)
            failed = True
            continue
        failed |= options.check and bool(changed)
        verb = "would be rewritten: " if options.check else "written: "
        print(
            f"{'✗' if options.check and changed else '✓'} {_shown(path)}: "
            + (verb + changed if changed else "as it was"),
            flush=True,
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
