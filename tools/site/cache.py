"""Lessons with the state of their explorers, executed again only if something changed."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools import files
from tools.notebooks import ROOT, canonical, execute, to_text
from tools.site.settings import BUILD, PACKAGE

__all__ = ["executed", "executed_all"]


def executed(
    path: Path,
    cache: Path = BUILD / "executed",
    package: Path = PACKAGE,
    run: Callable[..., NotebookNode] = execute,
) -> NotebookNode:
    """The lesson at `path` executed, with its explorers' state; from the cache if nothing changed.

    Raises NotebookError if a cell fails.
    """
    name = f"{path.stem}-{_digest(path, package)}.ipynb"
    kept = cache / name
    if not kept.is_file():
        notebook = nbformat.read(path, as_version=4)
        done = canonical(run(notebook, path.name, path.parent), with_state=True)
        cache.mkdir(parents=True, exist_ok=True)
        for old in cache.glob(f"{path.stem}-*.ipynb"):
            old.unlink(missing_ok=True)
        files.replace(kept, to_text(done).encode("utf-8"))
    return nbformat.read(kept, as_version=4)


def _digest(path: Path, package: Path) -> str:
    """Of all that decides what the lesson shows: itself, the package, the versions."""
    told = [path, ROOT / "constraints.txt", ROOT / "tools" / "notebooks.py"]
    told += sorted(file for file in package.rglob("*") if file.is_file() and file.suffix != ".pyc")
    digest = hashlib.sha256()
    for file in told:
        content = file.read_bytes()
        digest.update(f"{file.name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def executed_all(paths: Sequence[Path]) -> list[NotebookNode]:
    """These lessons, executed.

    Raises NotebookError if a cell of one fails.
    """
    # Two at a time, each in a process of its own: event loops and kernels do not share one.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(executed, paths))
