"""What a spec asks for: topics, configuration files, and pods that only restart when they have to."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from messaging_api.processor import (
    CONFIG_FILE,
    AnyProcessorConfig,
    BillingConfig,
    DomainConfig,
    GatewayConfig,
    MessagingConfig,
    SinkConfig,
)
from messaging_api.topology import RateLimit, Retention
from messaging_operator.desired.processors import Processor
from messaging_operator.desired.workloads import manifests
from messaging_operator.errors import ResourceError
from messaging_operator.state import APPLIED_HASH, Desired
from testkit.topologies import config_name, example, manifest_of, wanted

PROCESSORS = [
    "marketing", "authentication", "agent-flow", "billing-marketing", "billing-authentication", "billing-agent-flow",
    "be-messaging", "api-gateway",
]  # fmt: skip


def config_of(world: Desired, processor: str) -> AnyProcessorConfig:
    text = manifest_of(world, "ConfigMap", config_name(world, processor))["data"][CONFIG_FILE]
    config: AnyProcessorConfig = TypeAdapter[AnyProcessorConfig](AnyProcessorConfig).validate_json(text)
    return config


def billing_of(world: Desired, processor: str) -> BillingConfig:
    config = config_of(world, processor)
    assert isinstance(config, BillingConfig)
    return config


def template_of(world: Desired, processor: str) -> dict[str, Any]:
    template: dict[str, Any] = manifest_of(world, "Deployment", processor)["spec"]["template"]
    return template


def test_every_processor_has_a_deployment_and_a_configuration_that_it_can_read() -> None:
    world = wanted()
    deployments = [manifest["metadata"]["name"] for manifest in world.manifests if manifest["kind"] == "Deployment"]
    assert deployments == PROCESSORS
    assert {name: config_of(world, name).processor for name in PROCESSORS} == {name: name for name in PROCESSORS}


def test_only_what_speaks_http_has_a_service() -> None:
    services = {
        manifest["metadata"]["name"]: manifest["spec"]
        for manifest in wanted().manifests
        if manifest["kind"] == "Service"
    }
    assert {name: spec["ports"][0].get("nodePort") for name, spec in services.items()} == {
        "api-gateway": 30080,
        "be-messaging": None,
    }
    assert {name: spec["type"] for name, spec in services.items()} == {
        "api-gateway": "NodePort",
        "be-messaging": "ClusterIP",
    }


def test_a_dead_letter_topic_is_as_wide_as_its_widest_input_and_keeps_a_month() -> None:
    document = example()
    document["topics"][1]["partitions"] = 9
    topics = {topic.name: topic for topic in wanted(document).topics}
    assert topics["billing-marketing.dlq"].partitions == 9
    assert topics["marketing.dlq"].partitions == 3
    assert topics["marketing.dlq"].config["retention.ms"] == "2592000000"
    assert len(topics) == 11


def test_a_shared_dead_letter_topic_is_wide_enough_for_all_who_write_it() -> None:
    document = example()
    for sink, partitions in zip(document["sinks"], (4, 8, 2), strict=True):
        sink["deadLetter"] = {"topic": "sinks.dlq"}
        next(topic for topic in document["topics"] if topic["name"] == sink["name"])["partitions"] = partitions
    assert [topic.partitions for topic in wanted(document).topics if topic.name == "sinks.dlq"] == [8]


def test_a_dead_letter_topic_has_room_for_any_record_of_its_inputs_and_is_never_compacted() -> None:
    document = example()
    document["kafka"]["defaults"]["config"]["cleanup.policy"] = "compact"
    document["topics"][0]["config"]["max.message.bytes"] = "20000000"
    document["topics"][1]["config"]["max.message.bytes"] = "what Kafka refuses"
    configs = {topic.name: topic.config for topic in wanted(document).topics}
    assert (configs["postpaid"]["cleanup.policy"], configs["marketing.dlq"]["cleanup.policy"]) == ("compact", "delete")
    sizes = [configs[name]["max.message.bytes"] for name in ("billing-marketing.dlq", "marketing.dlq")]
    assert sizes == ["20065536", "8388608"]


def test_a_declared_dead_letter_topic_is_what_it_says() -> None:
    document = example()
    document["topics"].append({"name": "marketing.dlq", "partitions": 1, "config": {"retention.ms": "-1"}})
    topic = next(topic for topic in wanted(document).topics if topic.name == "marketing.dlq")
    assert (topic.partitions, topic.config["retention.ms"]) == (1, "-1")


def test_a_processor_without_a_named_dead_letter_topic_has_one_of_its_own() -> None:
    document = example()
    del document["billing"][0]["deadLetter"]
    world = wanted(document)
    assert billing_of(world, "billing-marketing").dead_letter_topic == "billing-marketing.dlq"
    assert "billing-marketing.dlq" in [topic.name for topic in world.topics]


def test_a_name_that_leaves_no_room_for_its_dead_letter_topic_is_refused_with_the_way_out() -> None:
    document = example()
    document["sinks"][0] |= {"name": "m" * 60}
    del document["sinks"][0]["deadLetter"]
    with pytest.raises(ResourceError, match=r"too long for a topic; name one in deadLetter\.topic"):
        wanted(document)


def test_an_input_that_is_not_declared_is_refused_by_name() -> None:
    document = example()
    document["sinks"][0]["from"] = ["nowhere"]
    with pytest.raises(ResourceError, match=r"marketing\.from: not in spec\.topics: nowhere"):
        wanted(document)


def test_consumer_groups_are_named_by_namespace_topology_and_processor() -> None:
    assert billing_of(wanted(), "billing-marketing").group_id == "messaging.user-api-messaging.billing-marketing"


def test_records_without_a_usable_domain_have_exactly_one_processor_for_each_input() -> None:
    document = example()
    document["billing"][0]["from"] = ["prepaid"]
    configs = [billing_of(wanted(document), billing["name"]) for billing in document["billing"]]
    assert [config.unrouted for config in configs] == [["prepaid"], ["postpaid"], []]
    assert {tuple(config.domains) for config in configs} == {("marketing", "authentication", "agent-flow")}


def test_the_spec_s_topic_settings_win_over_its_defaults() -> None:
    document = example()
    document["kafka"]["defaults"]["config"]["retention.ms"] = "1"
    configs = {topic.name: topic.config["retention.ms"] for topic in wanted(document).topics}
    assert (configs["postpaid"], configs["marketing"], configs["marketing.dlq"]) == ("604800000", "1", "2592000000")


def test_be_messaging_knows_what_each_domain_charges_in_and_how_long_what_is_kept() -> None:
    config = config_of(wanted(), "be-messaging")
    assert isinstance(config, MessagingConfig)
    assert config.domains["authentication"] == DomainConfig(topic="authentication", currency="USD", valid_for="10m")
    assert config.domains["marketing"].valid_for is None
    assert config.retention == Retention(bodies="30d", messages="365d")


def test_a_billing_processor_has_its_whole_tariff_and_a_sink_its_breaker() -> None:
    document = example()
    document["sinks"][0]["thirdParty"]["circuitBreaker"] = {"failureRatio": "0.25"}
    world = wanted(document)
    billing, sink = billing_of(world, "billing-marketing"), config_of(world, "marketing")
    assert isinstance(sink, SinkConfig)
    assert (billing.tariff.per_segment, billing.tariff.free_segments) == ("0.0075", 100)
    assert [rate.prefix for rate in billing.tariff.rates] == ["+44"]
    assert sink.third_party.circuit_breaker.failure_ratio == "0.25"


def test_secrets_reach_those_who_need_them_by_reference_only() -> None:
    world = wanted()
    environment = {
        name: [variable["name"] for variable in template_of(world, name)["spec"]["containers"][0]["env"]]
        for name in PROCESSORS
    }
    assert environment["be-messaging"] == environment["marketing"] == ["POD_NAME", "DATABASE_URL", "CACHE_URL"]
    assert environment["billing-marketing"] == ["POD_NAME", "DATABASE_URL"]
    assert environment["api-gateway"] == ["POD_NAME"]
    mounted = [name for name in PROCESSORS if "gateway-keys" in json.dumps(template_of(world, name))]
    assert mounted == ["api-gateway"]


def test_a_pod_that_lost_a_dependency_is_not_restarted_for_it() -> None:
    container = template_of(wanted(), "marketing")["spec"]["containers"][0]
    paths = {name: probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def test_pods_meet_the_restricted_pod_security_standard() -> None:
    for name in PROCESSORS:
        pod = template_of(wanted(), name)["spec"]
        container = pod["containers"][0]["securityContext"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["allowPrivilegeEscalation"] is False
        assert container["readOnlyRootFilesystem"] is True
        assert container["capabilities"] == {"drop": ["ALL"]}


def test_a_rate_limit_is_the_gateway_s_alone() -> None:
    document = example()
    document["gateway"]["rateLimit"] = {"requestsPerSecond": 200, "burst": 400}
    before, after = wanted(), wanted(document)
    assert [name for name in PROCESSORS if template_of(before, name) != template_of(after, name)] == ["api-gateway"]
    gateway = config_of(after, "api-gateway")
    assert isinstance(gateway, GatewayConfig)
    assert gateway.rate_limit == RateLimit(requests_per_second=200, burst=400)


def test_a_changed_tariff_rolls_its_own_processor_and_no_other() -> None:
    document = example()
    document["billing"][0]["tariff"]["perSegment"] = "0.5"
    before, after = wanted(), wanted(document)
    rolled = [name for name in PROCESSORS if template_of(before, name) != template_of(after, name)]
    assert rolled == ["billing-marketing"]
    assert config_name(before, "billing-marketing") != config_name(after, "billing-marketing")


@pytest.mark.parametrize("change", ["topics", "replicas", "service"])
def test_what_is_no_configuration_rolls_nobody(change: str) -> None:
    document = example()
    if change == "topics":
        document["topics"][0] |= {"partitions": 12, "config": {"retention.ms": "1"}}
    if change == "replicas":
        document["sinks"][0]["replicas"] = 3
    if change == "service":
        document["gateway"]["service"] = {"type": "ClusterIP"}
    templates = {name: template_of(wanted(document), name) for name in PROCESSORS}
    assert templates == {name: template_of(wanted(), name) for name in PROCESSORS}


class LaterSinkConfig(SinkConfig):
    """What the next version of the operator may write."""

    new_setting: int = 7


@pytest.mark.parametrize(("value", "same"), [(7, True), (8, False)])
def test_an_operator_that_knows_more_settings_rolls_nobody_until_somebody_uses_them(value: int, same: bool) -> None:
    now = config_of(wanted(), "marketing")
    later = LaterSinkConfig.model_validate(now.model_dump() | {"newSetting": value})
    [*_, before], [*_, after] = (manifests(Processor(config, "sink:1", 1), "Always") for config in (now, later))
    assert (before["spec"]["template"] == after["spec"]["template"]) is same


def test_every_object_is_owned_and_bears_the_hash_of_what_is_declared() -> None:
    document = example()
    document["sinks"][0]["replicas"] = 3
    for before, after in zip(wanted().manifests, wanted(document).manifests, strict=True):
        assert [owner["uid"] for owner in before["metadata"]["ownerReferences"]] == ["uid-of-the-topology"]
        same = before["metadata"]["annotations"][APPLIED_HASH] == after["metadata"]["annotations"][APPLIED_HASH]
        assert (
            same == (before == after) == ((before["kind"], before["metadata"]["name"]) != ("Deployment", "marketing"))
        )
