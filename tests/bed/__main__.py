"""`python -m bed`: the test bed's command line, with PYTHONPATH=tests.

up      engine, images, cluster and the services in it; repeat it as you like
down    the cluster away, and the engine if it was ours and nobody else uses it
status  what is up and where, as JSON
tools   build kind, kubectl, helm and promtool, or find them; where they are, as JSON
base    the base image for the project's images, and its Python, as JSON
images  build the project's images; their names, as JSON
load    load the images into the cluster: the named ones, or the project's
"""

import argparse
import json
import sys
import time
from dataclasses import asdict

from bed import binaries, cluster, engine, images
from bed.state import BedState, cluster_folder, cluster_name, project_images, save_images
from messaging_cli.errors import CliError
from messaging_cli.local import cache
from messaging_cli.local.saying import say


def up() -> None:
    started = time.monotonic()
    with cache.locked(cluster_name()), engine.ready() as used:
        state = cluster.up(used)
        cluster.start_services(used, state)
    say(f"{state.cluster} is up after {time.monotonic() - started:.0f} s")


def down() -> None:
    with cache.locked(cluster_name()):
        if cluster_folder().exists():
            state = cluster.existing()
            with engine.again(state.docker_host if state else None):
                cluster.remove()
    engine.stop_if_unused()


def status() -> None:
    state = BedState.load()
    print(json.dumps(asdict(state), indent=1))
    if not cluster.responds(state):
        raise CliError(f"{state.cluster} does not answer: `python -m bed up` repairs it")


def base() -> None:
    with engine.ready() as used:
        print(json.dumps(asdict(images.base(used))))


def tools() -> None:
    with engine.ready() as used:
        found = binaries.tools(used)
    engine.stop_if_unused()
    print(json.dumps(asdict(found) | {"promtool": binaries.promtool()}))


def build_images() -> None:
    with engine.ready() as used:
        built = images.build_project(used)
    save_images(built)
    print(json.dumps(built))


def load(names: list[str]) -> None:
    state = BedState.load()
    with engine.ready():
        images.load(state.cluster, names or list(project_images().values()))


def main() -> int:
    parser = argparse.ArgumentParser("bed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["up", "down", "status", "tools", "base", "images", "load"])
    parser.add_argument("names", nargs="*", help="images, for load")
    asked = parser.parse_args()
    commands = {"up": up, "down": down, "status": status, "tools": tools, "base": base, "images": build_images}
    try:
        load(asked.names) if asked.command == "load" else commands[asked.command]()
    except CliError as error:
        print(f"bed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bed: interrupted; repeat the command to go on where it stopped", file=sys.stderr)
        return 130
    return 0


sys.exit(main())
