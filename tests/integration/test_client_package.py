"""The client is installed alone, as a pipeline does it, and used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bootstrap

ROOT = Path(__file__).resolve().parents[2]
OF_SERVICES = ("pymongo", "bson", "pika", "kombu", "pyarrow", "numpy", "redis", "flask", "opentelemetry")


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline") / "venv"
    environment = {**os.environ, **bootstrap.uv_settings()}
    uv = Path(sys.executable).with_name("uv")
    for command in (("venv", folder), ("pip", "install", "--python", folder / "bin" / "python", ROOT / "shared")):
        done = subprocess.run([uv, *command], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return folder


def run(venv: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "COLLECT_URL": "http://127.0.0.1:9", "COLLECT_API_KEY": "ck_1_secret"}
    command = [str(venv / "bin" / program), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_client_and_its_command_work_without_the_packages_of_the_services(venv: Path) -> None:
    seen = run(
        venv,
        "python",
        "-c",
        f"""
import collect.client, collect.client.cli, importlib.util
print([name for name in {OF_SERVICES} if importlib.util.find_spec(name)])
""",
    )
    assert (seen.stdout, seen.stderr) == ("[]\n", "")
    shown = run(venv, "collect", "jobs", "create", "upload", "--help")
    assert (shown.returncode, "--dataset" in shown.stdout) == (0, True), shown.stderr
    refused = run(venv, "collect", "--version")
    assert refused.stdout.startswith("collect, version "), refused.stderr


def test_the_operators_command_says_what_to_install(venv: Path) -> None:
    refused = run(venv, "collect-admin", "--help")
    assert refused.returncode == 1
    assert "install collect-jobs[services]. The Python package " in refused.stderr
    assert "Traceback" not in refused.stderr
