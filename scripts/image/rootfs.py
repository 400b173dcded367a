"""Gathers what an image needs of the system it is built on: Python, its libraries, and the files that libc looks for.

Runs while an image is built: ``python rootfs.py DESTINATION FOLDER…``; the folders hold packages whose libraries are
wanted too. What is gathered has no shell and no package manager, so an image of it is small and there is little in it
to attack.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

USER = 10001
NOT_RUN = (
    *(
        "test",
        "tests",
        "idlelib",
        "tkinter",
        "turtledemo",
        "lib2to3",
        "distutils",
        "ensurepip",
        "pydoc_data",
        "config-*",
    ),
    *("_test*", "_dbm.*", "nis.*", "_sqlite3.*", "_curses*", "readline.*"),
    "*-packages",
)
"""What no service imports of the standard library, some of it with libraries of its own; and the base's packages."""
TEXTS = {
    "passwd": f"collect:x:{USER}:{USER}::/tmp:/sbin/nologin\n",
    "group": f"collect:x:{USER}:\n",
    "nsswitch.conf": "hosts: files dns\n",
}
FILES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/ld.so.cache"),
    # Arrow writes no time as a text without it, and refuses the key of a row that is one.
    Path("/usr/share/zoneinfo/UTC"),
)
_ELF = b"\x7fELF"
_LIBRARY = re.compile(r"(/\S+) \(0x")


def main(destination: Path, folders: list[Path]) -> None:
    """Fill the destination."""
    python = Path(sys.executable).resolve()
    standard = Path(sysconfig.get_path("stdlib"))
    for link in ("lib", "lib64", "bin"):  # as the base has them: a library may be asked for by either name
        if Path("/", link).is_symlink():
            target = os.readlink(f"/{link}")
            (destination / target).mkdir(parents=True, exist_ok=True)
            (destination / link).symlink_to(target)
    shutil.copytree(standard, at(destination, standard), ignore=shutil.ignore_patterns(*NOT_RUN), symlinks=True)
    copy(python, destination)
    for command in (Path("/usr/bin/python"), Path(sys.executable)):
        at(destination, command).parent.mkdir(parents=True, exist_ok=True)
        at(destination, command).symlink_to(python)
    for library in libraries([python, *binaries([at(destination, standard), *folders])]):
        if not any(library.is_relative_to(folder) for folder in folders):
            copy(library, destination)
    for file in FILES:
        copy(file, destination)
    for name, text in TEXTS.items():
        (destination / "etc").mkdir(exist_ok=True)
        (destination / "etc" / name).write_text(text, encoding="ascii")
    # Not by `mkdir`, of whose mode the umask takes a part. A tmpfs over it gets the mode that it has here.
    (destination / "tmp").mkdir()
    (destination / "tmp").chmod(0o1777)


def at(destination: Path, path: Path) -> Path:
    """Where a file of the base goes."""
    return destination / path.relative_to("/")


def copy(path: Path, destination: Path) -> None:
    """Copy a file, by the name by which it was asked for."""
    target = at(destination, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target)


def binaries(folders: Iterable[Path]) -> Iterator[Path]:
    """Programmes and libraries."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.open("rb").read(len(_ELF)) == _ELF:
                yield path


def libraries(needing: Iterable[Path]) -> set[Path]:
    """The libraries that these are linked with, the loader among them."""
    told = subprocess.run(["ldd", *needing], stdout=subprocess.PIPE, text=True, check=False).stdout
    return {Path(found) for found in _LIBRARY.findall(told)}


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]])
