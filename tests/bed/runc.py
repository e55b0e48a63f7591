# An OCI runtime for hosts that lack capabilities: dockerd calls it in runc's place.
#
# `docker run --privileged` asks for every capability there is, and runc fails where the host's own
# bounding set lacks one (CAP_SYS_RESOURCE, mostly). What the host does not have is taken out of the
# container's specification, and so is what needs it; then runc does the work.
# Standalone: engine.py copies this file into the cache folder and puts an interpreter line on top.

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

SYS_RESOURCE = 24
# By number, as in the kernel's header.
NAMES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"""


def bounding_set() -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in status if line.startswith("CapBnd:"))


def option(arguments: list[str], *names: str) -> str | None:
    for name in names:
        if name in arguments:
            return arguments[arguments.index(name) + 1]
    return None


def specification(arguments: list[str]) -> Path | None:
    """The JSON file that describes the process about to start; other commands have none."""
    if "exec" in arguments:
        found = option(arguments, "--process", "-p")
        return Path(found) if found else None
    if "create" in arguments or "run" in arguments:
        return Path(option(arguments, "--bundle", "-b") or ".") / "config.json"
    return None


def reduce_process(process: dict[str, Any], bounds: int) -> None:
    held = {f"CAP_{name}" for number, name in enumerate(NAMES.split()) if bounds >> number & 1}
    for kind, wanted in (process.get("capabilities") or {}).items():
        process["capabilities"][kind] = [name for name in wanted if name in held]
    if not bounds >> SYS_RESOURCE & 1:
        # Raising a hard limit and lowering oom_score_adj below one's own take that capability.
        process.pop("rlimits", None)
        own = int(Path("/proc/self/oom_score_adj").read_text())
        if (process.get("oomScoreAdj") or 0) < own:
            process["oomScoreAdj"] = own


def main() -> None:
    arguments = sys.argv[1:]
    path = specification(arguments)
    if path and path.exists():
        content = json.loads(path.read_text())
        process = content if "exec" in arguments else content.get("process", {})
        reduce_process(process, bounding_set())
        path.write_text(json.dumps(content))
    runc = shutil.which("runc", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    os.execv(runc or "/usr/sbin/runc", ["runc", *arguments])


if __name__ == "__main__":
    main()
