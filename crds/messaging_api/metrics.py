"""Names under which processors' /metrics show what they count: the runtime writes them, `mtop status` reads them."""

CONSUMED = "messaging_records_consumed_total"
REDELIVERED = "messaging_batches_redelivered_total"
DEAD_LETTERS = "messaging_dead_letters_total"
REQUESTS = "messaging_http_requests_total"
STATUS_LABEL = "status"
"""Of `REQUESTS`: the HTTP status of the answer."""
