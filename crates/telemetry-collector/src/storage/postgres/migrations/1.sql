-- The first version. A migration is never changed after its release.
--
-- Words and JSON are bytes in UTF-8: any text is kept, with NUL, and compared exactly, whatever the encoding and
-- the collation of the database. `convert_from(model, 'UTF8')` shows them.

-- The combinations of dimensions. A word may be longer than an entry of an index, so `key` is a hash of all; no word
-- has the byte FF.
CREATE TABLE series (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_type bytea NOT NULL,
    model bytea NOT NULL,
    provider bytea NOT NULL,
    complexity bytea NOT NULL,
    harness bytea NOT NULL,
    key bytea NOT NULL UNIQUE GENERATED ALWAYS AS (sha256(
        task_type || '\xff' || model || '\xff' || provider || '\xff' || complexity || '\xff' || harness
    )) STORED
);

-- The sums over the events of a series, and the bytes of their JSON.
--
-- A sum may exceed 64 bits: its columns `_low` and `_high` are the sums of the low 32 bits of the values, and
-- of the others. Each insert updates rows of `totals` and `hours`, so their pages have room for new versions.
CREATE TABLE totals (
    series bigint PRIMARY KEY,
    bytes bigint NOT NULL,
    tasks bigint NOT NULL,
    succeeded bigint NOT NULL,
    partial bigint NOT NULL,
    failed bigint NOT NULL,
    timed_out bigint NOT NULL,
    gated bigint NOT NULL,
    gates_passed bigint NOT NULL,
    passed bigint NOT NULL,
    retries_low bigint NOT NULL,
    retries_high bigint NOT NULL,
    input_tokens_low bigint NOT NULL,
    input_tokens_high bigint NOT NULL,
    output_tokens_low bigint NOT NULL,
    output_tokens_high bigint NOT NULL,
    cost_usd_micros_low bigint NOT NULL,
    cost_usd_micros_high bigint NOT NULL,
    duration_ms_low bigint NOT NULL,
    duration_ms_high bigint NOT NULL,
    estimated_input_low bigint NOT NULL,
    estimated_input_high bigint NOT NULL,
    actual_of_estimated_input_low bigint NOT NULL,
    actual_of_estimated_input_high bigint NOT NULL,
    estimated_output_low bigint NOT NULL,
    estimated_output_high bigint NOT NULL,
    actual_of_estimated_output_low bigint NOT NULL,
    actual_of_estimated_output_high bigint NOT NULL,
    estimated_cost_low bigint NOT NULL,
    estimated_cost_high bigint NOT NULL,
    actual_of_estimated_cost_low bigint NOT NULL,
    actual_of_estimated_cost_high bigint NOT NULL
) WITH (fillfactor = 50);

-- The sums over the events of an hour.
CREATE TABLE hours (
    hour bigint NOT NULL,
    series bigint NOT NULL,
    tasks bigint NOT NULL,
    succeeded bigint NOT NULL,
    partial bigint NOT NULL,
    failed bigint NOT NULL,
    timed_out bigint NOT NULL,
    gated bigint NOT NULL,
    gates_passed bigint NOT NULL,
    passed bigint NOT NULL,
    retries_low bigint NOT NULL,
    retries_high bigint NOT NULL,
    input_tokens_low bigint NOT NULL,
    input_tokens_high bigint NOT NULL,
    output_tokens_low bigint NOT NULL,
    output_tokens_high bigint NOT NULL,
    cost_usd_micros_low bigint NOT NULL,
    cost_usd_micros_high bigint NOT NULL,
    duration_ms_low bigint NOT NULL,
    duration_ms_high bigint NOT NULL,
    estimated_input_low bigint NOT NULL,
    estimated_input_high bigint NOT NULL,
    actual_of_estimated_input_low bigint NOT NULL,
    actual_of_estimated_input_high bigint NOT NULL,
    estimated_output_low bigint NOT NULL,
    estimated_output_high bigint NOT NULL,
    actual_of_estimated_output_low bigint NOT NULL,
    actual_of_estimated_output_high bigint NOT NULL,
    estimated_cost_low bigint NOT NULL,
    estimated_cost_high bigint NOT NULL,
    actual_of_estimated_cost_low bigint NOT NULL,
    actual_of_estimated_cost_high bigint NOT NULL,
    PRIMARY KEY (hour, series)
) WITH (fillfactor = 70);

-- The quality gates of the events of an hour. `key` is for the index, as that of a series.
CREATE TABLE gates (
    hour bigint NOT NULL,
    series bigint NOT NULL,
    gate bytea NOT NULL,
    run bigint NOT NULL,
    failed bigint NOT NULL,
    key bytea NOT NULL GENERATED ALWAYS AS (sha256(gate)) STORED,
    PRIMARY KEY (hour, series, key)
) WITH (fillfactor = 70);

-- The events in the order in which they were stored. `received` is in milliseconds since the Unix epoch;
-- `hour` is that of the event's timestamp, counted from the epoch.
CREATE SEQUENCE events_seq;
CREATE TABLE events (
    seq bigint PRIMARY KEY,
    event_id uuid NOT NULL UNIQUE,
    received bigint NOT NULL,
    series bigint NOT NULL,
    hour bigint NOT NULL,
    json bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX events_by_received ON events (received);
CREATE INDEX events_by_series ON events (series, hour);

-- The values of each metric, for percentiles: how often each value occurs, packed by buckets of similar values.
CREATE TABLE samples (
    series bigint NOT NULL,
    metric integer NOT NULL,
    bucket integer NOT NULL,
    count bigint NOT NULL,
    packed bytea NOT NULL,
    PRIMARY KEY (series, metric, bucket)
) WITH (fillfactor = 70);
ALTER TABLE samples ALTER packed SET STORAGE EXTERNAL;

-- The events whose values `samples` lacks yet (change 1), and removed ones whose values it still has (change -1):
-- a row for each transaction, with an element for each event.
CREATE TABLE pending (
    change bigint NOT NULL,
    series bigint[] NOT NULL,
    input_tokens bigint[] NOT NULL,
    output_tokens bigint[] NOT NULL,
    cost_usd_micros bigint[] NOT NULL,
    duration_ms bigint[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- The last rejected events.
CREATE TABLE rejections (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received bigint NOT NULL,
    event_id uuid,
    reason bytea NOT NULL
);
