"""`make demo`: the operator, the example topology and a minute of sample traffic on the test bed's cluster.

Shows where every accepted message ended up and exits 1 when one of them is not in every place.
"""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bed.state import BedState
from messaging_cli.report import picture, report
from messaging_cli.sending import Load, send_mix
from messaging_cli.traffic import Answer
from testkit.arrivals import Arrivals
from testkit.cluster import EXAMPLE, NAMESPACE, Cluster
from testkit.traffic import API_KEY, DOMAINS, MIX, TENANT, Gateway
from testkit.waiting import eventually

RATE, COUNT = 100, 3_000
console = Console()


def install(cluster: Cluster, gateway: Gateway) -> None:
    """The three commands of the README's second section."""
    console.print("[bold]helm upgrade --install[/] messaging-operator charts/messaging-operator")
    cluster.install_operator()
    console.print("[bold]kubectl apply[/] -f examples/user-api-messaging.yaml")
    cluster.kubectl("apply", "-f", str(EXAMPLE))
    with console.status("waiting until the topology is Ready"):
        eventually(lambda: cluster.condition("Ready").get("status") == "True", within=240)
        eventually(gateway.accounts_registered, within=30)
    console.print(cluster.kubectl("get", "mtop", "-n", NAMESPACE))


def places(arrivals: Arrivals, ids: list[str]) -> dict[str, set[str]]:
    """The messages that have come through, by where that can be seen."""
    rows, cached = arrivals.states(), arrivals.cached_states(ids)
    return {
        "row sent": {key for key, state in rows.items() if state == "sent"},
        "third party": set(arrivals.calls()),
        "in Redis": {key for key, state in cached.items() if state == "sent"},
    }


def are_everywhere(ids: list[str], found: dict[str, set[str]]) -> bool:
    return all(there.issuperset(ids) for there in found.values())


def delivered(arrivals: Arrivals, ids: list[str]) -> dict[str, set[str]]:
    """The places once every accepted message is in all of them, or after a minute as they are."""
    with console.status("waiting for the last messages"):
        try:
            eventually(lambda: are_everywhere(ids, places(arrivals, ids)), within=60, every=1)
        except AssertionError:
            console.print("[red]not every accepted message was everywhere within a minute[/]")
    return places(arrivals, ids)


def table(answers: list[Answer], found: dict[str, set[str]]) -> Table:
    result = Table("domain", "POST", "202", *found, title="from POST to row")
    for domain in DOMAINS:
        posted = [answer for answer in answers if answer.domain == domain]
        ids = {answer.id for answer in posted if answer.accepted}
        counts = len(posted), len(ids), *(len(ids & there) for there in found.values())
        result.add_row(domain, *map(str, counts))
    return result


def hints(bed: BedState) -> str:
    return "\n".join(
        [
            "",
            "The cluster stays up. Look around:",
            f"  export KUBECONFIG={bed.kubeconfig} PATH={Path(bed.kubectl).parent}:$PATH",
            f"  kubectl get mtop,deployments,pods -n {NAMESPACE}",
            f"  kubectl describe mtop -n {NAMESPACE}",
            f"  curl -H 'X-API-Key: {API_KEY}' {bed.gateway_url}/v1/accounts/account-00",
            "  edit examples/user-api-messaging.yaml and kubectl apply -f it",
            "Tear down:",
            "  make down",
        ]
    )


def main() -> int:
    bed = BedState.load()
    cluster = Cluster(Path(bed.kubeconfig), Path(bed.kubectl), Path(bed.helm))
    gateway = Gateway(bed.gateway_url, API_KEY)
    arrivals = Arrivals(bed.database_url, bed.redis_url, bed.third_party_url, TENANT)
    install(cluster, gateway)
    sent = send_mix(gateway, MIX, Load(RATE, COUNT))
    found = delivered(arrivals, sent.ids)
    console.print(table(sent.answers, found))
    console.print(picture(report(sent.answers, sent.seconds)))
    console.print(hints(bed), highlight=False, soft_wrap=True)
    return 0 if sent.ids and are_everywhere(sent.ids, found) else 1


if __name__ == "__main__":
    sys.exit(main())
