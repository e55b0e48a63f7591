"""The operator as its image starts it."""

import subprocess
import sys
from pathlib import Path


def test_a_wrong_setting_ends_the_operator_and_is_named(tmp_path: Path) -> None:
    """One that waited and tried again would look alive, to Kubernetes and to helm, and do nothing."""
    command = [sys.executable, "-m", "kopf", "run", "-m", "messaging_operator.handlers", "--all-namespaces"]
    environment = {"HOME": str(tmp_path), "MESSAGING_PROCESSOR_IMAGES": "{}"}
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert "SettingsError: MESSAGING_PROCESSOR_IMAGES must be a JSON object" in ended.stderr
