"""`.local/demo.env` means the same to a shell and to a reader of lines."""

import shlex
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack import demo_env

PRINTABLE = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126))


@given(PRINTABLE)
def test_what_is_written_is_what_is_read(value: str) -> None:
    assert demo_env.parse(demo_env.render({"COLLECT_API_KEY": value})) == {"COLLECT_API_KEY": value}


@given(PRINTABLE)
def test_a_shell_reads_the_same(value: str) -> None:
    words = shlex.split(demo_env.render({"COLLECT_API_KEY": value}))
    assert words == [f"COLLECT_API_KEY={value}"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "mongodb://127.0.0.1:27017/?directConnection=true"])
def test_common_addresses_need_no_quotes(url: str) -> None:
    assert demo_env.render({"URL": url}) == f"URL={url}\n"


def test_lines_that_are_no_settings_are_passed_over() -> None:
    assert demo_env.parse("# made\n\nexport A=1\nsaid in passing\nB=2") == {"A": "1", "B": "2"}


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "demo.env"
    demo_env.write(path, {"COLLECT_API_KEY": "secret"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert demo_env.read(path) == {"COLLECT_API_KEY": "secret"}


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert demo_env.read(tmp_path / "demo.env") == {}
