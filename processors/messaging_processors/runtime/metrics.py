"""What billing and sinks count; served as /metrics by `health`."""

from prometheus_client import Counter, Histogram

CONSUMED = Counter("messaging_records_consumed_total", "Records read, those of other domains included.")
CHARGED = Counter("messaging_messages_charged_total", "Messages charged and republished.")
SENT = Counter("messaging_messages_sent_total", "Messages that the third party took.")
DEAD_LETTERS = Counter("messaging_dead_letters_total", "Records that went to the dead-letter topic.", ["error"])
ABORTED = Counter("messaging_transactions_aborted_total", "Kafka transactions that were not, or not surely, committed.")
REDELIVERED = Counter("messaging_batches_redelivered_total", "Batches given up after they were read, to be read again.")
BATCH_SECONDS = Histogram("messaging_batch_seconds", "From a batch read to its offsets handed in.")
