"""Which Java runs Kafka: the wheel's, the machine's, or none with a word on what to do."""

import importlib.util
from pathlib import Path

import pytest

from messaging_cli.errors import CliError
from messaging_cli.local.services import java_program


def test_the_wheel_brings_one() -> None:
    assert Path(java_program()).is_file()


def test_without_the_wheel_it_is_the_machine_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "java"
    program.touch(mode=0o755)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert java_program() == str(program)
    program.unlink()
    with pytest.raises(CliError, match="Java is missing: install Java 17 or newer"):
        java_program()
