"""What billing and sinks count; served as /metrics by `health`."""

from prometheus_client import Counter, Enum, Gauge, Histogram

from messaging_api import metrics as names

CONSUMED = Counter(names.CONSUMED, "Records read, those of other domains included.")
CHARGED = Counter("messaging_messages_charged_total", "Messages charged and republished.")
REFUSED = Counter("messaging_messages_refused_total", "Messages republished without a charge.", ["reason"])
DUPLICATES = Counter(
    "messaging_duplicates_suppressed_total", "Messages that were in a topic before: not charged again."
)
REEMITTED = Counter("messaging_outcomes_reemitted_total", "Messages republished as the ledger had them already.")
SENT = Counter("messaging_messages_sent_total", "Messages that the third party took.")
DEAD_LETTERS = Counter(names.DEAD_LETTERS, "Records that went to the dead-letter topic.", ["error"])
ABORTED = Counter("messaging_transactions_aborted_total", "Kafka transactions that were not, or not surely, committed.")
REDELIVERED = Counter(names.REDELIVERED, "Batches given up after they were read, to be read again.")
BATCH_SECONDS = Histogram("messaging_batch_seconds", "From a batch read to its offsets handed in.")
BLOCKED = Gauge(
    "messaging_last_stable_offset_lag",
    "Records that are in the topics read and cannot be read until a transaction ends.",
)
LATE = Counter(
    "messaging_late_transaction_seconds_total",
    "Seconds in which a transaction that had been open for over 7.5 s kept records from being read.",
)
CLIENTS_GIVEN_UP = Counter(
    "messaging_kafka_clients_given_up_total", "Members of the group that Kafka's silence or a rebalance left stuck."
)
CIRCUIT = Enum(
    "messaging_third_party_circuit",
    "Whether calls to the third party are made.",
    states=["closed", "open", "half-open"],
)
