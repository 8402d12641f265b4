"""A file is written whole or not at all."""

import os

import pytest

from tools import files


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "stamp"
    files.replace(path, b"old")
    files.replace(path, "neu: é".encode())
    assert path.read_bytes() == "neu: é".encode() and os.listdir(tmp_path) == ["stamp"]


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("trouble", [OSError(28, "full"), KeyboardInterrupt()], ids=repr)
def test_an_interrupted_writing_leaves_the_file_as_it_was(tmp_path, monkeypatch, name, trouble):
    path = tmp_path / "stamp"
    files.replace(path, b"old")

    def fail(*arguments):
        raise trouble

    monkeypatch.setattr(files.os, name, fail)
    with pytest.raises(type(trouble)):
        files.replace(path, b"half of it")
    monkeypatch.undo()
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["stamp"]


def test_it_is_on_the_disk_before_it_takes_its_place_and_only_once(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def noted(*arguments, name=name, real=real):
            done.append(name)
            return real(*arguments)

        monkeypatch.setattr(files.os, name, noted)
    files.replace(tmp_path / "stamp", b"new")
    assert done == ["fsync", "replace"]
