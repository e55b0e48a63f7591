"""Every image that the bed and the tests use: pulled or built, loaded into the cluster.

Called by the command line and by `cluster`. Images of ours carry a digest of their inputs in the
tag, so that an image which exists is the right one; `:dev` is for the project's own, rebuilt on
demand.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bed import binaries, cache, nodeimage
from bed.engine import PULLED_BASE, PULLED_NODE, Engine, present
from bed.shell import run, step

CHECKOUT = Path(__file__).resolve().parents[2]
KINDS = ("operator", "gateway", "billing", "sink")


@dataclass(frozen=True)
class Base:
    """What the project's images are built on; `python` is the version its wheels must fit."""

    image: str
    python: str


def node(engine: Engine) -> str:
    if engine.pulls:
        return PULLED_NODE
    tag = f"localhost/kind-node:{binaries.KUBERNETES}-{nodeimage.key()}"
    with cache.locked("images"):
        if not present(tag):
            nodeimage.build_node(tag)
    return tag


def base(engine: Engine) -> Base:
    if engine.pulls:
        return Base(PULLED_BASE, PULLED_BASE.removeprefix("python:").removesuffix("-slim"))
    packages = ["python3", "python3-pip", "ca-certificates"]
    tag = f"localhost/python-base:{cache.digest(Path(__file__), *packages)}"
    with cache.locked("images"):
        if not present(tag):
            build_base(tag, packages)
    return Base(tag, "3.11")


def build_base(tag: str, packages: list[str]) -> None:
    """Like python:slim: `python` and `pip` are there and may install into the system."""
    bare = nodeimage.debian("debian-python", packages)
    with step("make the Python base image"), nodeimage.scratch() as root:
        run("cp", "-a", f"{bare}/.", root)
        tidy = """
            ln -sf python3 /usr/bin/python; rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
            rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* \
              /usr/share/doc/* /usr/share/man/* /usr/share/locale/*"""
        run("chroot", root, "sh", "-c", tidy)
        nodeimage.import_root(root, tag, f"ENV PATH={nodeimage.PATH}", 'CMD ["python3"]')


def build_project(engine: Engine) -> list[str]:
    """The images of images/*/Dockerfile; the build context holds our wheels in build/wheels."""
    built_on = base(engine)
    with step("fetch the wheels of the images"):
        run(sys.executable, "images/wheels.py", "--python", built_on.python, cwd=CHECKOUT)
    return [build_kind(kind, built_on.image) for kind in KINDS]


def build_kind(kind: str, base_image: str) -> str:
    tag = f"localhost/messaging-{kind}:dev"
    with step(f"docker build {tag}"):
        run(
            *("docker", "build", "--quiet", "--file", f"images/{kind}/Dockerfile"),
            *("--build-arg", f"BASE_IMAGE={base_image}", "--tag", tag, "."),
            cwd=CHECKOUT,
        )
    return tag


def load(kind: str, cluster: str, images: Sequence[str]) -> None:
    """Into the cluster's nodes as one archive: layers that images share travel once."""
    with (
        step(f"load {len(images)} images into {cluster}"),
        tempfile.NamedTemporaryFile(dir=cache.root(), suffix=".tar") as archive,
    ):
        run("docker", "save", "--output", archive.name, *images)
        run(kind, "load", "image-archive", "--name", cluster, archive.name)
