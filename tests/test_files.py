"""Files of others are read with care, our own are written whole or not at all."""

import os
import socket
from pathlib import Path

import pytest

from regnetlab.errors import InputError
from regnetlab.files import open_foreign, open_own, read_foreign, read_foreign_text, write_atomically


def test_a_regular_file_is_read_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes("a\r\nbé\rc".encode())
    (tmp_path / "link").symlink_to("file")
    assert read_foreign(tmp_path / "link", 100) == "a\r\nbé\rc".encode()
    assert read_foreign_text(tmp_path / "link", 100) == "a\nbé\nc"


@pytest.mark.parametrize("path", ["fifo", "socket", "/dev/zero", "/dev/stdin"])
def test_a_pipe_or_device_is_refused_at_once(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises((InputError, OSError)):
            open_foreign(tmp_path / path)


def test_a_folder_or_nothing_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        open_foreign(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_foreign(tmp_path / "none")


def test_a_file_that_is_too_large_or_grows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 101)
    with pytest.raises(InputError, match="is over 100 bytes"):
        read_foreign(path, 100)
    with pytest.raises(InputError, match="is over 1 MiB"):
        read_foreign(Path("/proc/self/mem").parent.parent / "kallsyms", 2**20)  # says that it has 0 bytes


def test_our_own_files_are_never_opened_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "link").symlink_to("precious")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(OSError, match=r"links|regular file|No such device"):
            open_own(tmp_path / name, os.O_WRONLY | os.O_APPEND)
    assert (tmp_path / "precious").read_text() == "kept"
    os.close(open_own(tmp_path / "new", os.O_WRONLY))
    assert (tmp_path / "new").exists()


def test_writing_replaces_a_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "table.csv").symlink_to("precious")
    write_atomically(tmp_path / "table.csv", "new")
    assert (tmp_path / "precious").read_text() == "kept"
    assert (tmp_path / "table.csv").read_text() == "new"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["precious", "table.csv"]


def test_the_reason_why_nothing_can_be_written_is_kept(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none/file can't be written: No such file"):
        write_atomically(tmp_path / "none" / "file", "text")
    with pytest.raises(InputError, match="can't be written: File name too long"):
        write_atomically(tmp_path / ("x" * 300), "text")
    write_atomically(tmp_path / ("x" * 255), "text")
    assert len(list(tmp_path.iterdir())) == 1
