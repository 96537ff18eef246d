-- The first version. A migration is never changed after its release.

-- The combinations of dimensions, each with the sums over its events.
--
-- A sum may exceed 64 bits: its columns `_low` and `_high` are the sums of the low 32 bits of the values, and
-- of the others.
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    task_type TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    complexity TEXT NOT NULL,
    harness TEXT NOT NULL,
    tasks INTEGER NOT NULL DEFAULT 0,
    succeeded INTEGER NOT NULL DEFAULT 0,
    partial INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    timed_out INTEGER NOT NULL DEFAULT 0,
    gated INTEGER NOT NULL DEFAULT 0,
    gates_passed INTEGER NOT NULL DEFAULT 0,
    passed INTEGER NOT NULL DEFAULT 0,
    retries_low INTEGER NOT NULL DEFAULT 0,
    retries_high INTEGER NOT NULL DEFAULT 0,
    input_tokens_low INTEGER NOT NULL DEFAULT 0,
    input_tokens_high INTEGER NOT NULL DEFAULT 0,
    output_tokens_low INTEGER NOT NULL DEFAULT 0,
    output_tokens_high INTEGER NOT NULL DEFAULT 0,
    cost_usd_micros_low INTEGER NOT NULL DEFAULT 0,
    cost_usd_micros_high INTEGER NOT NULL DEFAULT 0,
    duration_ms_low INTEGER NOT NULL DEFAULT 0,
    duration_ms_high INTEGER NOT NULL DEFAULT 0,
    estimated_input_low INTEGER NOT NULL DEFAULT 0,
    estimated_input_high INTEGER NOT NULL DEFAULT 0,
    actual_of_estimated_input_low INTEGER NOT NULL DEFAULT 0,
    actual_of_estimated_input_high INTEGER NOT NULL DEFAULT 0,
    estimated_output_low INTEGER NOT NULL DEFAULT 0,
    estimated_output_high INTEGER NOT NULL DEFAULT 0,
    actual_of_estimated_output_low INTEGER NOT NULL DEFAULT 0,
    actual_of_estimated_output_high INTEGER NOT NULL DEFAULT 0,
    estimated_cost_low INTEGER NOT NULL DEFAULT 0,
    estimated_cost_high INTEGER NOT NULL DEFAULT 0,
    actual_of_estimated_cost_low INTEGER NOT NULL DEFAULT 0,
    actual_of_estimated_cost_high INTEGER NOT NULL DEFAULT 0,
    UNIQUE (task_type, model, provider, complexity, harness)
) STRICT;

-- The events in the order in which they were stored. `received` is in milliseconds since the Unix epoch;
-- `hour` is that of the event's timestamp, counted from the epoch.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL UNIQUE,
    received INTEGER NOT NULL,
    series INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    json TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_received ON events (received);
CREATE INDEX events_by_series ON events (series, hour);

-- The sums over the events of an hour.
CREATE TABLE hours (
    hour INTEGER NOT NULL,
    series INTEGER NOT NULL,
    tasks INTEGER NOT NULL DEFAULT 0,
    succeeded INTEGER NOT NULL DEFAULT 0,
    partial INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    timed_out INTEGER NOT NULL DEFAULT 0,
    gated INTEGER NOT NULL DEFAULT 0,
    gates_passed INTEGER NOT NULL DEFAULT 0,
    passed INTEGER NOT NULL DEFAULT 0,
    retries_low INTEGER NOT NULL DEFAULT 0,
    retries_high INTEGER NOT NULL DEFAULT 0,
    input_tokens_low INTEGER NOT NULL DEFAULT 0,
    input_tokens_high INTEGER NOT NULL DEFAULT 0,
    output_tokens_low INTEGER NOT NULL DEFAULT 0,
    output_tokens_high INTEGER NOT NULL DEFAULT 0,
    cost_usd_micros_low INTEGER NOT NULL DEFAULT 0,
    cost_usd_micros_high INTEGER NOT NULL DEFAULT 0,
    duration_ms_low INTEGER NOT NULL DEFAULT 0,
    duration_ms_high INTEGER NOT NULL DEFAULT 0,
    estimated_input_low INTEGER NOT NULL DEFAULT 0,
    estimated_input_high INTEGER NOT NULL DEFAULT 0,
    actual_of_estimated_input_low INTEGER NOT NULL DEFAULT 0,
    actual_of_estimated_input_high INTEGER NOT NULL DEFAULT 0,
    estimated_output_low INTEGER NOT NULL DEFAULT 0,
    estimated_output_high INTEGER NOT NULL DEFAULT 0,
    actual_of_estimated_output_low INTEGER NOT NULL DEFAULT 0,
    actual_of_estimated_output_high INTEGER NOT NULL DEFAULT 0,
    estimated_cost_low INTEGER NOT NULL DEFAULT 0,
    estimated_cost_high INTEGER NOT NULL DEFAULT 0,
    actual_of_estimated_cost_low INTEGER NOT NULL DEFAULT 0,
    actual_of_estimated_cost_high INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, series)
) STRICT, WITHOUT ROWID;

-- The quality gates of the events of an hour.
CREATE TABLE gates (
    hour INTEGER NOT NULL,
    series INTEGER NOT NULL,
    gate TEXT NOT NULL,
    run INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    PRIMARY KEY (hour, series, gate)
) STRICT, WITHOUT ROWID;

-- The values of each metric, for percentiles: how often each value occurs, packed by buckets of similar values.
CREATE TABLE samples (
    series INTEGER NOT NULL,
    metric INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    count INTEGER NOT NULL,
    packed BLOB NOT NULL,
    PRIMARY KEY (series, metric, bucket)
) STRICT, WITHOUT ROWID;

-- The events whose values `samples` lacks yet (change 1), and removed ones whose values it still has (change -1).
CREATE TABLE pending (
    series INTEGER NOT NULL,
    change INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd_micros INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL
) STRICT;

-- The last rejected events.
CREATE TABLE rejections (
    seq INTEGER PRIMARY KEY,
    received INTEGER NOT NULL,
    event_id BLOB,
    reason TEXT NOT NULL
) STRICT;
