"""The environment is read once, and a fault names the variable."""

import json

import pytest

from messaging_operator.errors import SettingsError
from messaging_operator.settings import Settings

IMAGES = json.dumps({"gateway": "g:1", "billing": "b:1", "sink": "s:1"})


def test_what_is_not_said_has_a_default() -> None:
    settings = Settings.from_env({"MESSAGING_PROCESSOR_IMAGES": IMAGES})
    assert (settings.images.sink, settings.images.pull_policy) == ("s:1", "IfNotPresent")
    assert (settings.resync_seconds, settings.metrics_port) == (10, 9090)


@pytest.mark.parametrize("images", ["", "{", "[]", '{"gateway": "g:1"}', "null"])
def test_images_that_are_missing_are_named_with_what_is_expected(images: str) -> None:
    with pytest.raises(SettingsError, match=r'MESSAGING_PROCESSOR_IMAGES must be .*"gateway": "image"'):
        Settings.from_env({"MESSAGING_PROCESSOR_IMAGES": images})


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan"])
def test_a_resync_that_is_no_positive_number_is_refused(seconds: str) -> None:
    with pytest.raises(SettingsError, match="RESYNC_SECONDS must be a number above 0"):
        Settings.from_env({"MESSAGING_PROCESSOR_IMAGES": IMAGES, "RESYNC_SECONDS": seconds})
