"""Starts a notebook's kernel in the sandbox: Jupyter's own extension point for that.

Registered as the kernel provisioner "descent-sandbox" (see pyproject.toml): whatever runs
notebooks through jupyter_client can use it. `sandboxed_kernel` makes a manager that does, with
the kernel's five sockets opened outside and inherited by the process inside.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Any as AnyTrait
from traitlets import Bool, List, Unicode

from grading.inside.rights import INSIDE
from grading.sandbox.syscalls import filter_file
from grading.sandbox.walls import NoSandbox, Sandbox, why_no_sandbox
from grading.sandbox.watch import kill_tree

__all__ = ["SandboxProvisioner", "connect", "listen", "sandboxed_kernel"]

NAME = "descent-sandbox"
LARGEST_MESSAGE = 16 * 1024**2  # bytes; a kernel that sends more is cut off
PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port")


class SandboxProvisioner(LocalProvisioner):
    """Runs a kernel in a `Sandbox`.

    sandbox : what the kernel may see and use.
    protected : False runs it with the rights of whoever calls.
    places : paths of sockets on which its process is to listen besides Jupyter's.
    work : its folder, where it is not protected.
    """

    sandbox: Any = AnyTrait(Sandbox()).tag(config=True)
    protected = Bool(True).tag(config=True)
    places = List(Unicode()).tag(config=True)
    work = Unicode().tag(config=True)

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        if self.protected and (reason := why_no_sandbox()):
            raise NoSandbox(reason)
        kwargs["env"] = {}  # nothing of our environment goes in
        manager: Any = self.parent
        manager.transport_encryption = "disabled"  # the sockets are nobody else's
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        info: dict[str, Any] = {**self.connection_info}
        manager: Any = self.parent
        ports = {info[name]: listen(f"{info['ip']}-{info[name]}") for name in PORTS}
        places = [listen(path) for path in self.places]
        key = manager.session.key.decode()
        given = {
            "connection": {**info, "key": key},
            "ports": {port: s.fileno() for port, s in ports.items()},
            "places": [s.fileno() for s in places],
            "limits": asdict(self.sandbox.limits) if self.protected else None,
            "uid": self.sandbox.uid if self.protected else None,
            "imports": list(self.sandbox.imports),
        }
        sockets = [*ports.values(), *places]
        with filter_file() as rules:
            if self.protected:
                cmd = self.sandbox.command(cmd, rules.fileno())
                environment = self.sandbox.environment()
            else:
                environment = self.sandbox.environment(str(Path(self.work).parent / "home"))
                kwargs["cwd"] = self.work
            kwargs["env"] = {**environment, INSIDE: json.dumps(given)}
            kwargs["pass_fds"] = [rules.fileno(), *(s.fileno() for s in sockets)]
            kwargs["stdout"] = subprocess.DEVNULL
            kwargs["stderr"] = subprocess.PIPE  # read if it does not start
            try:
                return await super().launch_kernel(cmd, **kwargs)
            finally:
                for s in sockets:
                    s.close()

    async def kill(self, restart: bool = False) -> None:
        if self.process and self.process.poll() is None:
            try:
                kill_tree(psutil.Process(self.process.pid))
            except psutil.NoSuchProcess:
                pass

    async def terminate(self, restart: bool = False) -> None:
        await self.kill(restart)


def listen(path: str) -> socket.socket:
    """A socket at this path, for a process that will inherit it. Raises ValueError."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(path)
    except OSError as error:
        raise ValueError(
            f"no socket at {path} ({error}): set TMPDIR to a folder with a shorter name"
        ) from None
    os.chmod(path, 0o666)  # its folder lets nobody else through
    listener.listen(16)
    return listener


class _OneSpec(KernelSpecManager):
    """Knows the one kernel that is wanted, whatever a notebook asks for."""

    spec: Any = AnyTrait()

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self.spec


def sandboxed_kernel(folder: Path, **settings: Any) -> Any:
    """A started kernel whose sockets lie in `folder`; `settings` are the provisioner's traits.

    Nobody else can go through the folder: it is ours alone. Raises `NoSandbox`.
    """
    provisioner = {"provisioner_name": NAME, "config": settings}
    spec = KernelSpec(
        argv=[sys.executable, "-m", "grading.inside.kernel"],
        display_name="sandbox",
        language="python",
        interrupt_mode="message",
        metadata={"kernel_provisioner": provisioner},
    )
    manager = KernelManager(
        kernel_spec_manager=_OneSpec(spec=spec),
        transport="ipc",
        ip=str(folder / "k"),
        connection_file=str(folder / "connection.json"),
        shutdown_wait_time=0.0,
    )
    manager.start_kernel()
    return manager


def connect(manager: KernelManager) -> BlockingKernelClient:
    """A client of the kernel that takes in no flood: few messages wait, none is very large.

    Where the kernel does not take or finish a message, zmq.Again is raised after two seconds.
    """
    context = zmq.Context()
    context.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
    context.setsockopt(zmq.RCVHWM, 10)
    context.setsockopt(zmq.LINGER, 0)
    for wait in (zmq.SNDTIMEO, zmq.RCVTIMEO):  # a kernel may cut its own line: never wait for it
        context.setsockopt(wait, 2000)
    client = manager.client(context=context)
    client.start_channels(stdin=False, hb=False)
    return client
