"""What a worker of a cluster does in tests, in place of grading."""

import contextlib
import os
import signal
import time


def at_work(submitted):
    """What a submission says is done, and the submission given back."""
    if submitted == b"slow":
        time.sleep(2)
    if submitted.startswith(b"once "):  # only the first time
        with contextlib.suppress(FileExistsError):
            os.close(os.open(submitted[10:], os.O_CREAT | os.O_EXCL))
            what = {b"stop": signal.SIGSTOP, b"kill": signal.SIGKILL}[submitted[5:9]]
            os.kill(os.getpid(), what)
    if submitted == b"always":
        os.kill(os.getpid(), signal.SIGSTOP)
    return submitted
