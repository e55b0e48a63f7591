"""What the runtime wrapper takes out of a container's specification on a host with few capabilities."""

from typing import Any

from bed.runc import SYS_RESOURCE, reduce_process, specification

ALL = (1 << 41) - 1


def privileged() -> dict[str, Any]:
    names = ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_CHECKPOINT_RESTORE"]
    return {"capabilities": {"bounding": names, "effective": names}, "rlimits": [1], "oomScoreAdj": -999}


def test_a_host_with_every_capability_changes_nothing() -> None:
    process = privileged()
    reduce_process(process, ALL)
    assert process == privileged()


def test_a_missing_capability_goes_with_what_needs_it() -> None:
    process = privileged()
    reduce_process(process, ALL & ~(1 << SYS_RESOURCE))
    assert process["capabilities"]["effective"] == ["CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"]
    assert process["oomScoreAdj"] >= 0
    assert "rlimits" not in process


def test_only_commands_that_start_a_process_have_a_specification() -> None:
    assert str(specification(["--root", "/x", "create", "--bundle", "/b", "id"])) == "/b/config.json"
    assert str(specification(["exec", "--process", "/p.json", "id"])) == "/p.json"
    assert specification(["delete", "--force", "id"]) is None
