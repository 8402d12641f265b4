"""The kernel in which test cells run: it has the tests, and the student's functions at a distance.

Before a test cell runs, the names it uses and that nobody here defined are looked up in the
snapshot of the student's process that belongs to its place. A function becomes a
`RemoteFunction`; other values come as plain data. So a test cell reads the same as in the
student's JupyterLab, and nothing the student defined can reach it.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import socket
from typing import Any

from grading.inside import channel

__all__ = ["RemoteFunction", "StudentError", "Students", "bring"]

# Exceptions that come as themselves. Those that end a program come as a StudentError of their
# name: the test goes on.
_OWN = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, UnicodeError | BaseExceptionGroup)
}


UNSEEN = "what it says is left out: the inputs are hidden"


class StudentError(Exception):
    """An exception of the student's own class, or one that the channel made."""


class Students:
    """What a student's process has at one place: its names, reached over a socket.

    path : the socket of the snapshot.
    seconds : how long a call may take.
    hidden : the inputs are: of an error that a function raises its class alone is told, for a
        student chose the words, and had seen the inputs.
    """

    def __init__(self, path: str, seconds: float, hidden: bool = False) -> None:
        self.path, self.seconds, self.hidden = path, seconds, hidden
        self._connection: socket.socket | None = None

    def get(self, name: str) -> tuple[bool, Any]:
        """Whether there is such a name, and its value: plain data or a RemoteFunction."""
        reply = self.ask({"get": name})
        if "missing" in reply:
            return False, None
        if "function" in reply:
            return True, RemoteFunction(self, name)
        return True, _value_of(reply)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request, return the reply; raise what it says was raised."""
        message = channel.pack(request)
        try:
            if self._connection is None:
                self._connection = socket.socket(socket.AF_UNIX)
                self._connection.settimeout(self.seconds)
                self._connection.connect(self.path)
            self._connection.settimeout(self.seconds)
            self._connection.sendall(message)
            reply = channel.receive(self._connection, self.seconds)
        except TimeoutError:
            self.close()
            raise TimeoutError(f"no result after {self.seconds:g} seconds") from None
        except channel.BadMessage as error:
            self.close()
            raise StudentError(f"the result cannot be read ({error})") from None
        except (EOFError, OSError):
            self.close()
            raise StudentError("the process ended before it gave a result") from None
        if not isinstance(reply, dict):
            raise StudentError("the result cannot be read")
        if "raised" in reply:
            told = reply["raised"] if isinstance(reply["raised"], dict) else {}
            _raise({"type": told.get("type"), "message": UNSEEN} if self.hidden else told)
        return reply

    def close(self) -> None:
        """Hang up: whatever still runs for us on the other side is killed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class RemoteFunction:
    """A function that lives in the student's process: plain data in, plain data back.

    Our arguments never change, whatever it does to its own: a test that compares with what it
    passed would compare with what the student made of it. `changed_arguments` says whether the
    last call changed any.
    """

    def __init__(self, students: Students, name: str) -> None:
        self._students, self.__name__ = students, name
        self.changed_arguments = False

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        reply = self._students.ask(
            {"call": self.__name__, "arguments": arguments, "keywords": keywords}
        )
        self.changed_arguments = _changed(arguments, reply.get("arguments"))
        return _value_of(reply)

    def __repr__(self) -> str:
        return f"<function {self.__name__}>"


def _value_of(reply: dict[str, Any]) -> Any:
    if "value" not in reply:
        raise StudentError("the result cannot be read")
    return reply["value"]


def _changed(given: tuple, after: Any) -> bool:
    """Whether a function says that it changed what it was given: its arguments as they are now."""
    if not isinstance(after, tuple) or len(after) != len(given):
        return True
    return any(
        channel.pack(ours) != channel.pack(theirs)
        for ours, theirs in zip(given, after)
        if theirs is not None
    )


def _raise(told: dict[str, Any]) -> None:
    """Raise what the other side says was raised there, in a frame that shows the line of there."""
    name, message = str(told.get("type", "")), str(told.get("message", ""))
    kind = _OWN.get(name) or channel.named(StudentError, name)
    line = str(told.get("line", ""))[:200].replace("\n", " ")
    error = kind(message[: channel.LONGEST_MESSAGE])
    file = "<the student's code>"
    linecache.cache[file] = (len(line), None, [line + "\n"], file)
    exec(compile("raise error", file, "exec"), {"error": error})


# ------------------------------------------------------------------ in IPython


_brought: dict[str, Any] = {}  # by the last call, into the namespace


def bring(shell: Any, source: str, students: Students, reserved: list[str]) -> None:
    """Put the names that a cell uses, and that nobody here defined, into the shell's namespace.

    Those that were brought for the cell before are taken away. Reserved are the names that trusted
    cells define: had such a cell failed, a student could otherwise put a function of their own in
    its place. Raises what `Students.ask` raises.
    """
    for name, value in _brought.items():
        if shell.user_ns.get(name) is value:
            del shell.user_ns[name]
    _brought.clear()
    for name in names_used(shell.transform_cell(source)):
        if name in shell.user_ns or hasattr(builtins, name) or name in reserved:
            continue
        found, value = students.get(name)
        if found:
            shell.user_ns[name] = _brought[name] = value


def names_used(source: str) -> list[str]:
    """The names that a cell reads, each once, in their order.

    >>> names_used("y = f(x)\\nassert g(y) == 1")
    ['f', 'x', 'g', 'y']
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:  # the cell itself will say so
        return []
    nodes = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    nodes.sort(key=lambda node: (node.lineno, node.col_offset))
    return list(dict.fromkeys(node.id for node in nodes))


def names_defined(source: str) -> list[str]:
    """The names that a cell may define, each once, sorted.

    >>> names_defined("import numpy as np, os.path\\ndef f(): ...\\nx = y = 1")
    ['f', 'np', 'os', 'x', 'y']
    """
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:
        return []
    names = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    names |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    imports = [a for n in nodes if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names]
    names |= {alias.asname or alias.name.partition(".")[0] for alias in imports}
    return sorted(names)
