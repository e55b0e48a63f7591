"""The node image for kind, made from package registries alone: Debian, Go modules, kind's files.

`images` calls `build_node()` where no image can be pulled. What kind's `build node-image` would
pull is made here instead: a Debian root file system with kind's files in it, and the control
plane's images preloaded into its containerd. Needs root and a running Docker engine.
"""

import shutil
from pathlib import Path

from bed import binaries
from bed.shell import pipe, require, run
from messaging_cli.local import cache
from messaging_cli.local.saying import step

NODE = Path(__file__).parent / "node"
PAUSE = "3.10.2"  # these three are the versions that kubeadm 1.37.2 asks for
ETCD = "3.7.0-0"
COREDNS = "v1.14.6"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PACKAGES = [
    *("systemd", "conntrack", "iptables", "nftables", "iproute2", "ethtool", "util-linux", "mount"),
    *("kmod", "libseccomp2", "pigz", "jq", "procps", "runc", "containernetworking-plugins"),
]


def debian(name: str, packages: list[str]) -> Path:
    """A minimal Debian root file system with `packages`; a result to copy, not to change."""

    def build(folder: Path) -> None:
        require("debootstrap", "debootstrap")
        with step(f"debootstrap {name} (1 minute)"):
            # Its own mount namespace: when it is killed, no /proc stays mounted in the folder.
            run(
                *("unshare", "--mount", "debootstrap", "--variant=minbase"),
                *(f"--include={','.join(packages)}", "bookworm", folder / "root"),
            )

    return cache.built(name, cache.digest(*packages), build) / "root"


def key() -> str:
    return cache.digest(NODE, binaries.MODULE, Path(__file__), binaries.linker_flags())


def build_node(tag: str) -> None:
    programs = binaries.node_programs()
    bare = debian("debian-node", PACKAGES)
    with step("make the node image (1 minute)"), cache.scratch("node") as folder:
        root = folder / "root"
        run("cp", "-a", bare, root)
        save_control_plane(programs, bare, root / "control-plane.tar")
        fill(root, programs)
        run(
            # Ends with everything it started and mounted, however it ends.
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={root}/proc"),
            *("chroot", root, "sh", "/prepare.sh"),
            env={"PATH": PATH, "PAUSE": PAUSE},
        )
        import_root(root, f"{tag}-root", "ENV container=docker")
    command = '["/usr/local/bin/entrypoint", "/sbin/init"]'
    # systemd would start anew on SIGTERM; `docker import` cannot set another stop signal.
    dockerfile = f"FROM {tag}-root\nSTOPSIGNAL SIGRTMIN+3\nENTRYPOINT {command}\n"
    run("docker", "build", "--quiet", "--tag", tag, "-", stdin=dockerfile)
    run("docker", "image", "rm", f"{tag}-root")


def import_root(root: Path, tag: str, *changes: str) -> None:
    options = [word for change in changes for word in ("--change", change)]
    pipe(("tar", "-C", root, "-c", "."), ("docker", "import", *options, "-", tag))


def save_control_plane(programs: Path, bare: Path, archive: Path) -> None:
    """One archive of the images that kubeadm starts, each of nothing but its program."""
    images = {
        f"registry.k8s.io/{name}:{binaries.KUBERNETES}": [name]
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    } | {
        f"registry.k8s.io/etcd:{ETCD}": ["etcd", "etcdctl"],
        f"registry.k8s.io/coredns/coredns:{COREDNS}": ["coredns"],
        f"registry.k8s.io/pause:{PAUSE}": ["pause"],
    }
    for image, names in images.items():
        with cache.scratch("control-plane-image") as root:
            copy(programs, root / "usr/local/bin", *names)
            if names == ["kube-proxy"]:
                copy_with_libraries(bare, "/usr/sbin/nft", root)
            entry = f'ENTRYPOINT ["/usr/local/bin/{names[0]}"]'
            import_root(root, image, f"ENV PATH={PATH}", entry)
    run("docker", "save", "--output", archive, *images)
    run("docker", "image", "rm", *images)


def copy(source: Path, target: Path, *names: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy(source / name, target / name)


def copy_with_libraries(source: Path, program: str, target: Path) -> None:
    listed = f'tar -ch {program} $(ldd {program} | grep -o "/[^ ]*")'
    pipe(("chroot", source, "sh", "-c", listed), ("tar", "-x", "-C", target))


def fill(root: Path, programs: Path) -> None:
    """Puts kind's files, ours and the programs where kind's own image has them."""
    files = binaries.module_source("sigs.k8s.io/kind") / "images/base/files"
    for part in ("etc", "kind", "usr"):
        # The module cache is read-only; what is copied from it must not be.
        run("cp", "-r", "--no-preserve=mode", files / part, root)
    for script in (*(root / "kind/bin").iterdir(), *(root / "usr/local/bin").iterdir()):
        script.chmod(0o755)
    copy(programs, root / "usr/local/bin", "containerd", "containerd-shim-runc-v2", "ctr")
    copy(programs, root / "usr/bin", "kubeadm", "kubelet", "kubectl")
    copy(NODE, root / "kind/manifests", "default-cni.yaml", "default-storage.yaml")
    copy(NODE, root / "etc/cni/net.d", "10-bridge.conflist")
    copy(NODE, root, "prepare.sh")
    (root / "kind/version").write_text(binaries.KUBERNETES)
