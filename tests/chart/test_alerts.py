"""The chart's alerts: what Prometheus itself makes of them, and that somebody tells what they are about."""

import re
import subprocess
from importlib import import_module
from pathlib import Path

import yaml
from prometheus_client import generate_latest

from messaging_api.status import ConditionType

from .rendering import CHART, Render

RULES = CHART / "files/alerts.yaml"
CASES = Path(__file__).with_name("alerts.yaml")
TELLERS = ("messaging_operator.metrics", "messaging_processors.runtime.metrics")


def rules() -> dict[str, str]:
    """Each alert's expression."""
    return {
        rule["alert"]: rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    }


def test_they_fire_when_they_should(promtool: Path, tmp_path: Path) -> None:
    """Rows K9 and K12 of tests/chaos/README.md, as series of what a Prometheus would have read."""
    cases = tmp_path / "alerts.yaml"
    cases.write_text(CASES.read_text().replace("RULES", str(RULES)))
    done = subprocess.run([promtool, "test", "rules", cases], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried() -> None:
    tried = [one for case in yaml.safe_load(CASES.read_text())["tests"] for one in case["alert_rule_test"]]
    assert rules().keys() == {one["alertname"] for one in tried if one["exp_alerts"]}


def test_what_they_ask_for_is_told() -> None:
    asked = "\n".join(rules().values())
    for module in TELLERS:
        import_module(module)
    told = re.findall(r"^# TYPE (\S+)", generate_latest().decode(), re.MULTILINE)
    assert set(re.findall(r"messaging_\w+", asked)) <= set(told)
    assert set(re.findall(r'condition="(\w+)"', asked)) <= {kind.value for kind in ConditionType}


def test_the_prometheus_operator_gets_them_where_it_is_asked_for(render: Render) -> None:
    assert render().all("PrometheusRule") == []
    rule = render(alerts={"enabled": True, "labels": {"release": "monitoring"}}).one("PrometheusRule")
    assert rule["spec"] == yaml.safe_load(RULES.read_text())
    assert rule["metadata"]["labels"]["release"] == "monitoring"
    assert rule["metadata"]["namespace"] == "platform"


def test_a_prometheus_that_goes_by_annotations_finds_the_operator(render: Render) -> None:
    rendered = render()
    ports = {port["name"]: port["containerPort"] for port in rendered.container()["ports"]}
    assert rendered.pod()["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(ports["metrics"]),
    }
