"""Submissions that attack the grader, or are broken, and the score that their honest code deserves.

In their code, COURSE is the course folder, HOME the instructor's home, PORT a server on the
loopback, ABSTRACT a server's name, and PARENT the number of the grader's process.
"""

import json
import os

from tests.grading.toy import (
    ALL,
    DOUBLE,
    DOUBLE_CODE,
    MEAN,
    answered,
    grade_id,
    right,
)

WRONG = "def double(x):\n    return 0 * x - 1"
CHEAT = {"double": WRONG, "mean": "def mean_square(x):\n    return -1.0", "answer": "answer = 0"}


def attacks(blank):
    """``{name: (submission, score it deserves)}``"""
    return {**fooling(blank), **bringing_down(blank), **broken(blank)}


# Long because it is a list of attacks.
def fooling(blank):
    def wrong(*first, last=(), **answers):
        return answered(blank, **{**CHEAT, **answers}, first=first, last=last), 0

    def returns(expression, *first):
        """Each function gives this back, whatever it gets."""
        return wrong(
            *first,
            double=f"def double(x):\n    return {expression}",
            mean=f"def mean_square(x):\n    return {expression}",
            answer=f"answer = {expression}",
        )

    return {
        "patched_numpy": wrong(
            "import numpy, numpy.testing\n"
            "numpy.testing.assert_allclose = lambda *a, **k: None\n"
            "numpy.allclose = numpy.isclose = lambda *a, **k: True"
        ),
        "patched_builtins": wrong(
            "import builtins\nbuiltins.AssertionError = Warning\n"
            "builtins.__import__ = lambda *a, **k: None\nbuiltins.abs = lambda x: 0"
        ),
        "patched_modules": wrong(
            "import sys, types\nfake = types.ModuleType('numpy.testing')\n"
            "fake.assert_allclose = lambda *a, **k: None\nsys.modules['numpy.testing'] = fake"
        ),
        "own_checks": wrong(
            "assert_allclose = lambda *a, **k: None\nx = []\nexpected_seed = 0",
            last=["class np:\n    random = array = None\nassert_allclose = lambda *a: None"],
        ),
        "input_transformer": wrong(
            "get_ipython().input_transformers_cleanup.append(lambda lines: ['pass\\n'])"
        ),
        "syntax_transformer": wrong(
            "import ast\nclass Nothing(ast.NodeTransformer):\n"
            "    visit_Assert = lambda self, node: ast.Pass()\n"
            "get_ipython().ast_transformers.append(Nothing())"
        ),
        "run_cell_replaced": wrong(
            "shell = get_ipython()\nshell.run_cell = lambda *a, **k: None\n"
            "shell.events.register('pre_run_cell', lambda info: info.__setattr__('raw_cell', ''))"
        ),
        "equals_everything": returns(
            "Same()",
            "class Same:\n    __eq__ = __le__ = __ge__ = lambda self, other: True\n"
            "    __ne__ = __lt__ = lambda self, other: False\n    __hash__ = None\n"
            "    __sub__ = __rsub__ = __abs__ = lambda self, *o: self\n"
            "    __array__ = lambda self, *a, **k: 1 / 0",
        ),
        "equal_number": returns(
            "Number(1)",
            "class Number(float):\n    __eq__ = lambda self, other: True\n"
            "    __sub__ = __rsub__ = lambda self, other: 0.0\n    __hash__ = None",
        ),
        "equal_array": returns(
            "np.zeros(5).view(Array)",
            "import numpy as np\nclass Array(np.ndarray):\n"
            "    __eq__ = lambda self, other: True\n"
            "    __array_ufunc__ = lambda self, *a, **k: True\n"
            "    __array_function__ = lambda self, *a, **k: True",
        ),
        "pickle_bomb": returns(
            "Bomb()",
            "class Bomb:\n    def __reduce__(self):\n"
            "        return (open, ('COURSE/pickled', 'w'))\n"
            "    __getstate__ = __array__ = __reduce__",
        ),
        "reads_in": wrong(
            double="def double(x):\n    shell = get_ipython()\n"
            "    text = str(shell.user_ns.get('In')) + str(globals())\n"
            "    return 2 * x if 'expected' + '_seed' in text else -1"
        ),
        "reads_gc": wrong(
            double="def double(x):\n    import gc\n"
            "    found = [o for o in gc.get_objects() if isinstance(o, dict)\n"
            "             and 'expected_seed' in o and o.get('expected_seed')]\n"
            "    return 2 * x if found else -1"
        ),
        "reads_frames": wrong(
            double="def double(x):\n    import sys\n    frame = sys._getframe()\n"
            "    while frame := frame.f_back:\n"
            "        if 'expected_seed' in frame.f_globals: return 2 * x\n"
            "    return -1"
        ),
        "reads_files": wrong(
            double="def double(x):\n    import os\n"
            "    for folder, _, names in os.walk('/'):\n"
            "        for name in names:\n"
            "            if name in ('grading.json', 'hw00_toy.ipynb'):\n"
            "                return 2 * x\n"
            "    return 2 * x if os.path.exists('COURSE') else -1"
        ),
        "reads_environment": wrong(
            double="def double(x):\n    import glob, os\n"
            "    texts = [str(dict(os.environ))]\n"
            "    for path in glob.glob('/proc/[0-9]*/environ'):\n"
            "        try: texts.append(open(path).read())\n"
            "        except OSError: pass\n"
            "    words = ('DESCENT_GRADING', 'INSTRUCTORS_SECRET')\n"
            "    return 2 * x if any(w in str(texts) for w in words) else -1"
        ),
        "other_processes": wrong(
            double="def double(x):\n    import glob\n"
            "    texts = [open(p).read() for p in glob.glob('/proc/[0-9]*/cmdline')]\n"
            "    return 2 * x if 'pytest' in str(texts) else -1"
        ),
        "shadowed_modules": wrong(
            "import os, sys\n"
            "for name in ('numpy', 'json', 'os', 'course_utils', 'sitecustomize', 'conftest'):\n"
            "    open(name + '.py', 'w').write('def assert_allclose(*a, **k): pass')\n"
            "    for folder in sys.path:\n"
            "        try: open(os.path.join(folder, name + '.py'), 'w').write('raise SystemExit')\n"
            "        except OSError: pass"
        ),
        "replaced_agent": wrong(
            "from grading.inside import snapshots, channel\n"
            "snapshots._answer = lambda request, namespace: {'value': 2 * request['arguments'][0]\n"
            "    if 'arguments' in request and len(repr(request)) < 40 else None}"
        ),
        "garbage_on_the_channel": wrong(
            "from grading.inside import channel\nchannel.pack = lambda value: b'\\xff' * 1000"
        ),
        "lying_about_length": wrong(
            "from grading.inside import channel\n"
            "channel.pack = lambda value: channel._HEAD.pack(2**32 - 1, 2**32 - 1)"
        ),
        "functions_on_the_channel": wrong(
            "from grading.inside import channel\ntree = b'{}'\n"
            'tree = b\'{"dict":[["value",{"function":"system"}]]}\'\n'
            "channel.pack = lambda value: channel._HEAD.pack(len(tree), 0) + tree"
        ),
        "huge_shape_on_the_channel": wrong(
            "from grading.inside import channel\n"
            'tree = b\'{"dict":[["value",{"array":0,"shape":[99999,99999,0],"dtype":"f8"}]]}\'\n'
            "channel.pack = lambda value: channel._HEAD.pack(len(tree), 0) + tree"
        ),
        "changes_arguments": wrong(
            double="def double(x):\n    try: x[:] = 0\n    except TypeError: return -1\n"
            "    return 0 * x"
        ),
        "answers_from_a_thread": wrong(
            "import os, socket, threading\nfrom grading.inside import snapshots, channel\n"
            "def answer(place):\n    listener = socket.socket(fileno=os.dup(place))\n"
            "    while True:\n        connection, _ = listener.accept()\n"
            "        while True:\n            channel.receive(connection)\n"
            "            connection.sendall(channel.pack({'value': ['same'], 'function': True}))\n"
            "for place in snapshots.PLACES: threading.Thread(target=answer, args=(place,)).start()"
        ),
        "text_as_number": wrong(
            double="def double(x):\n    return '6'",
            mean="def mean_square(x):\n    return '5.0'",
            answer="answer = '42'",
        ),
        "forged_exception": wrong(
            "class __import__(Exception):\n    __str__ = lambda self: 1 / 0",
            double="def double(x):\n    raise __import__('os; system')",
        ),
        "forged_outputs": (forged(answered(blank, **CHEAT)), 0),
        "edited_tests": (edited(answered(blank, **CHEAT)), 0),
        "points_moved": (points_moved(answered(blank, **{**CHEAT, "double": DOUBLE_CODE})), DOUBLE),
        "tests_deleted": (only_answers(right(blank)), ALL),
        "leaks_arguments": (
            right(
                blank,
                double="seen = []\ndef double(x):\n    seen.append(x)\n"
                "    open('/tmp/seen', 'a').write(f'LEAK {x}')\n    print('LEAK', x)\n"
                "    return 2 * x",
                last=["print(seen)", "import os\nprint(os.path.exists('/tmp/seen') and 'LEAK')"],
            ),
            ALL,
        ),
        # What is too long, or no text, to be told must not be taken for nothing to tell.
        "crowd_of_nones": returns("(None,) * 190_000"),
        "long_error": wrong(double="def double(x):\n    raise ValueError('x' * 5_000_000)"),
        "long_name": wrong(
            "Long = type('L' * 3_000_000, (Exception,), {})",
            double="def double(x):\n    raise Long('y' * 3_000_000)",
        ),
        "half_a_character": wrong(double="def double(x):\n    raise ValueError('\\ud800')"),
        "half_a_character_returned": returns("'\\udfff' * 100"),
        "half_a_character_on_the_channel": wrong(
            "from grading.inside import channel\n"
            'told = b\'["type","ValueError"],["message","\\\\ud800"],["line","\\\\udfff"]\'\n'
            'tree = b\'{"dict":[["raised",{"dict":[\' + told + b\']}]]}\'\n'
            "channel.pack = lambda value: channel._HEAD.pack(len(tree), 0) + tree"
        ),
        "errors_of_graders": wrong(
            "class NotRun(Exception): pass\nclass NotRight(Exception): pass",
            double="def double(x):\n    raise NotRun('all is well')",
            mean="def mean_square(x):\n    raise NotRight('✓ right on 24 hidden inputs.')",
        ),
        # A file outlives the test that wrote it; the sentences of the next one are read.
        "tells_later": (
            right(
                blank,
                double="def double(x):\n    print(x, file=open('/tmp/t', 'a'))\n    return 2 * x",
                mean="def mean_square(x):\n    raise ValueError(open('/tmp/t').read())",
            ),
            ALL - MEAN,
        ),
        "script_in_outputs": (
            right(
                blank,
                written="<script>alert(1)</script> <img src=x onerror=alert(2)>",
                double="from IPython.display import HTML, Javascript, display\n"
                "display(HTML('<script>alert(3)</script>'), Javascript('alert(4)'))\n"
                "display({'image/png': '\"><script>alert(5)</script>', "
                "'image/svg+xml': '<svg onload=alert(6)>', 'text/plain': '<b>plain</b>'},"
                " raw=True)\nprint('<script>alert(7)</script>')\n" + DOUBLE_CODE,
            ),
            ALL,
        ),
    }


# Long because it is a list of attacks.
def bringing_down(blank):
    def spoilt(*cells, **answers):
        """All the right answers, and cells behind them that do harm."""
        return right(blank, last=cells, **answers), ALL

    def in_double(code):
        return right(blank, double=f"def double(x):\n{code}\n    return x"), ALL - DOUBLE

    forever = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    return {
        "endless_loop": spoilt("while True: pass"),
        "endless_loop_that_will_not_stop": spoilt(forever),
        "endless_call": in_double("    while True: pass"),
        "sleeping_call": in_double("    import time; time.sleep(10_000)"),
        "stops_itself": spoilt("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"),
        "ignores_signals": spoilt(
            "import signal\nfor s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n"
            "    signal.signal(s, signal.SIG_IGN)\nimport time\ntime.sleep(10_000)"
        ),
        "memory": spoilt("hog = []\nwhile True: hog.append(bytearray(50_000_000))"),
        "memory_at_once": spoilt("import numpy as np\nnp.ones(10**11)"),
        "memory_in_children": spoilt(
            "import os, time\nfor _ in range(12):\n    if not os.fork():\n"
            "        hog = bytearray(b'x') * 150_000_000\n        time.sleep(1000)\n"
            "time.sleep(1000)"
        ),
        "memory_kept": spoilt("hog = bytearray(b'x') * 700_000_000"),
        "memory_in_call": in_double("    hog = []\n    while True: hog.append(bytearray(10**8))"),
        "fork_bomb": spoilt("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
        "thread_bomb": spoilt(
            "import threading, time\nwhile True:\n"
            "    threading.Thread(target=time.sleep, args=(1000,)).start()"
        ),
        "exit_in_cell": spoilt("import os\nos._exit(0)"),
        "exit_in_answer": (
            right(blank, double="import os\nos._exit(0)\n" + DOUBLE_CODE),
            ALL - DOUBLE,
        ),
        "exit_in_call": in_double("    import os; os._exit(0)"),
        "sys_exit": spoilt("import sys\nsys.exit(1)", "raise SystemExit", "quit()"),
        "quits_early": (right(blank, double="quit()\n" + DOUBLE_CODE), ALL),
        "exits_later": spoilt(
            "import os, threading\nthreading.Timer(0.02, os._exit, [0]).start()",
        ),
        "interrupt_raised": in_double("    raise KeyboardInterrupt"),
        "segmentation_fault": spoilt("import ctypes\nctypes.string_at(0)"),
        "fault_in_call": in_double("    import ctypes; ctypes.string_at(0)"),
        "kills_parents": spoilt(
            "import os, signal\nfor pid in (os.getppid(), 1, PARENT, -1):\n"
            "    try: os.kill(pid, signal.SIGKILL)\n    except OSError: pass\n"
            "os.kill(os.getpid(), signal.SIGKILL)"
        ),
        "daemon": spoilt(
            "import os, subprocess, time\n"
            "subprocess.Popen(['sleep', '98765'], start_new_session=True)\n"
            "if not os.fork():\n    os.setsid()\n    if not os.fork():\n"
            "        while True: time.sleep(1)\n    os._exit(0)"
        ),
        "print_flood": spoilt("while True: print('x' * 500_000, flush=True)"),
        "one_giant_print": spoilt("print('x' * 100_000_000)"),
        "display_flood": spoilt("from IPython.display import display\nwhile True: display(1)"),
        "standard_error_flood": spoilt("import os\nwhile True: os.write(2, b'x' * 10_000)"),
        "fills_disk": spoilt(
            "for folder in ('/tmp', '/dev/shm', '/tmp/work', '/tmp/home', '/dev', '/'):\n"
            "    for n in range(3):\n        try:\n"
            "            with open(f'{folder}/fill{n}', 'wb') as file:\n"
            "                while True: file.write(bytes(10**7))\n        except OSError: pass"
        ),
        "hidden_memory": spoilt(
            "import os\nos.memfd_create('x')",
            "import ctypes\nassert ctypes.CDLL(None).shmget(0, 10**9, 0o1600) == -1",
        ),
        "own_namespace": spoilt(
            "import ctypes, os\nlibc = ctypes.CDLL(None)\n"
            "assert libc.unshare(0x10000000) == -1 and libc.setns(0, 0) == -1\n"
            "assert libc.mount(b'x', b'/tmp', b'tmpfs', 0, None) == -1\n"
            "assert os.getuid() and open('/proc/self/status').read().count('0000000000000000')\n"
            "print('tried')"
        ),
        "writes_outside": spoilt(
            "import os\nfor path in ('COURSE/written', 'COURSE/gradebook.db', 'HOME/written', "
            "'/usr/written', '/etc/passwd', '/proc/sys/kernel/core_pattern', '/written', "
            "'/dev/written', os.__file__, np.__file__):\n"
            "    try: open(path, 'w').write('x'); print('WROTE', path)\n"
            "    except OSError: pass\n"
            "import subprocess\nsubprocess.run('rm -rf COURSE HOME ~ /usr', shell=True)"
        ),
        "network": spoilt(
            "import socket\nfor family, address in [(socket.AF_INET, ('127.0.0.1', PORT)),\n"
            "        (socket.AF_UNIX, '\\0ABSTRACT'), (socket.AF_INET, ('1.1.1.1', 53))]:\n"
            "    try: socket.socket(family).connect(address); print('CONNECTED')\n"
            "    except OSError: pass"
        ),
        "slow_import": spoilt("%%writefile slow.py\nimport time\ntime.sleep(1000)", "import slow"),
        "deep_recursion": in_double("    return double(x)"),
        "crashing_recursion": spoilt(
            "import sys\nsys.setrecursionlimit(10**9)\nf = lambda: f()\n"
            "class A:\n    __getattr__ = lambda self, name: getattr(self, name + 'x')\nA().a"
        ),
        "huge_result": in_double("    return np.zeros(10**8)"),
        "deep_result": in_double("    y = []\n    for _ in range(10**5): y = [y]\n    return y"),
        "many_results": in_double("    return [0] * 10**6"),
        "huge_number": in_double("    return 10 ** 10_000"),
        "asks_for_input": spoilt("input('password? ')", "import getpass; getpass.getpass()"),
        "closes_everything": spoilt("import os\nos.closerange(3, 10_000)"),
        "garbage_on_every_socket": spoilt(
            "import os\nfor fd in range(3, 256):\n"
            "    try: os.set_blocking(fd, False); os.write(fd, b'\\xff' * 5000)\n"
            "    except OSError: pass"
        ),
        "every_line_cut_and_no_end": spoilt(
            "import os, stat\nfor fd in range(3, 256):\n"
            "    try:\n        if stat.S_ISSOCK(os.fstat(fd).st_mode):\n"
            "            os.set_blocking(fd, False)\n            os.write(fd, b'\\xff' * 5000)\n"
            "    except OSError: pass\nwhile True: pass"
        ),
        "many_files": spoilt("n = 0\nwhile True:\n    open(f'/tmp/{n}', 'w')\n    n += 1"),
        "many_slow_cells": spoilt(*["import time\ntime.sleep(1)"] * 60),
        "many_outputs": spoilt(*[f"print({n}, 'y' * 900_000)" for n in range(20)]),
        "forged_replies": spoilt(
            "kernel = get_ipython().kernel\nparent = kernel.get_parent()\n"
            "kernel.session.send(kernel.iopub_socket, 'status', {'execution_state': 'idle'}, "
            "parent=parent)\nimport zmq\nfor name in dir(kernel):\n"
            "    stream = getattr(kernel, name, None)\n"
            "    if 'shell' in name and hasattr(stream, 'send_multipart'):\n"
            "        ok = {'status': 'ok'}\n"
            "        kernel.session.send(stream, 'execute_reply', ok, parent=parent)\n"
            "import time\ntime.sleep(1000)"
        ),
        "descriptors": spoilt(
            "import os\nfor fd in os.listdir('/proc/self/fd'):\n"
            "    try: target = os.readlink(f'/proc/self/fd/{fd}')\n    except OSError: continue\n"
            "    inside = ('socket:', 'pipe:', 'anon_inode:', '/dev/', '/proc/', '/tmp/')\n"
            "    if not target.startswith(inside): print('WROTE', target)"
        ),
        "unwatched": spoilt(
            "import signal, os, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
            "while True:\n    if not os.fork():\n        end = time.time() + 0.2\n"
            "        while time.time() < end: pass\n        os._exit(0)\n    time.sleep(0.01)"
        ),
        "forged_messages": spoilt(
            "kernel = get_ipython().kernel\nfor kind, content in [('status', "
            "{'execution_state': 'idle'}), ('execute_result', {'data': 5}), ('stream', 'x'),\n"
            "        ('error', {}), ('display_data', {'data': {'text/plain': {'a': 1}}})]:\n"
            "    kernel.session.send(kernel.iopub_socket, kind, content, "
            "parent=kernel.get_parent())\n"
            "kernel.iopub_socket.io_thread.socket.send(b'\\xff' * 100)"
        ),
    }


def broken(blank):
    good = right(blank)
    text = json.dumps(good)
    return {
        "empty_file": (b"", 0),
        "not_json": (b"<html>Log in first</html>", 0),
        "cut_off": (text[: len(text) // 2].encode(), 0),
        "null_bytes": (bytes(5000), 0),
        "zip_bomb": (b"PK\x03\x04" + bytes(1000), 0),
        "nested_too_deep": (b"[" * 10**6, 0),
        "list_of_numbers": (b"[1, 2, 3]", 0),
        "cells_of_all_kinds": (b'{"cells": [1, null, "x", {}, {"source": 3}]}', 0),
        "utf16": (text.encode("utf-16"), ALL),
        "latin1": (
            json.dumps(right(blank, written="schön"), ensure_ascii=False).encode("latin-1"),
            ALL,
        ),
        "byte_order_mark": (b"\xef\xbb\xbf" + text.encode(), ALL),
        "pasted_twice": ((text + text).encode(), ALL),
        "half_characters": (text.replace("So.", "\\ud800").encode(), ALL),
        "format_3": (format_3(good), ALL),
        "marks_lost": (without_marks(good), ALL),
        "answers_twice": (answers_twice(blank), ALL),
        "answer_as_markdown": (as_markdown(good), ALL),
        "shuffled_types": (odd_types(good), ALL),
        "output_of_100_mb": (large_output(good), ALL),
        "link_to_gradebook": (lambda path: path.symlink_to(path.parents[3] / "gradebook.db"), 0),
        "folder_of_that_name": (lambda path: path.mkdir(), 0),
        "no_file": (lambda path: None, 0),
        "pipe": (make_pipe, 0),
    }


# ------------------------------------------------------------------ what editors and forgers do


def changed(notebook, change):
    """A copy whose cells went through `change`."""
    made = json.loads(json.dumps(notebook))
    for cell in made["cells"]:
        change(cell)
    return made


def is_test(cell):
    return cell["metadata"].get("nbgrader", {}).get("grade", False)


def forged(notebook):
    def change(cell):
        if is_test(cell) and cell["cell_type"] == "code":
            cell["execution_count"] = 1
            cell["outputs"] = [
                {
                    "output_type": "execute_result",
                    "execution_count": 1,
                    "data": {"text/plain": "1.0"},
                    "metadata": {},
                }
            ]
        cell["metadata"]["nbgrader"] = {**cell["metadata"].get("nbgrader", {}), "points": 1000}

    return changed(notebook, change)


def edited(notebook):
    def change(cell):
        if is_test(cell):
            cell["source"] = "1.0"

    return changed(notebook, change)


def points_moved(notebook):
    """Tests marked as answers, answers as tests, and everything worth more."""

    def change(cell):
        mark = cell["metadata"].get("nbgrader")
        if mark:
            mark.update(
                grade=not mark["grade"], solution=not mark["solution"], locked=False, points=100
            )

    return changed(notebook, change)


def only_answers(notebook):
    made = json.loads(json.dumps(notebook))
    made["cells"] = [c for c in made["cells"] if grade_id(c) in ("double", "mean", "answer-is")]
    return made


def format_3(notebook):
    def old(cell):
        made = {"cell_type": cell["cell_type"], "metadata": cell["metadata"]}
        key = "input" if cell["cell_type"] == "code" else "source"
        return {**made, key: cell["source"], "outputs": [], "language": "python"}

    cells = [old(cell) for cell in notebook["cells"]]
    return {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [{"cells": cells, "metadata": {}}],
    }


def without_marks(notebook):
    def change(cell):
        cell["metadata"] = {}
        cell.pop("id")

    made = changed(notebook, change)
    # Only functions can be found by their names; an answer that is none has to keep its mark.
    for cell, original in zip(made["cells"], notebook["cells"]):
        if grade_id(original) == "answer-is":
            cell["metadata"] = original["metadata"]
    return made


def answers_twice(blank):
    made = right(blank)
    at = next(i for i, c in enumerate(made["cells"]) if grade_id(c) == "double")
    first = {**made["cells"][at], "source": WRONG}
    made["cells"].insert(at, first)
    return made


def as_markdown(notebook):
    def change(cell):
        if grade_id(cell) in ("double", "mean"):
            cell["cell_type"] = "markdown"
            cell.pop("outputs"), cell.pop("execution_count")

    return changed(notebook, change)


def odd_types(notebook):
    """What no editor writes, but a script might: sources as text, numbers as ids, no metadata."""

    def change(cell):
        cell["source"] = "".join(cell["source"])
        cell["id"] = 7
        if not grade_id(cell):
            cell["metadata"] = None

    return changed(notebook, change)


def large_output(notebook):
    made = json.loads(json.dumps(notebook))
    flood = {"output_type": "stream", "name": "stdout", "text": ["x" * 10**8]}
    made["cells"][1]["outputs"] = [flood]
    return made


def make_pipe(path):
    os.mkfifo(path)
