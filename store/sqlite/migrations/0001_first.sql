-- The first schema. Ids are their text, instants microseconds since 1970 in UTC, days the number
-- YYYYMMDD, truth values 0 or 1, hashes 32 bytes, money within JSON as decimal text. No column is a
-- float.

CREATE TABLE schema_migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 BLOB NOT NULL
) STRICT;

-- Numbers that only grow: 'fence' for leases.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    organization TEXT NOT NULL,
    name TEXT NOT NULL,
    environment TEXT NOT NULL,
    scopes TEXT NOT NULL,
    sha256 BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_by_organization ON api_keys (organization, id);

CREATE TABLE data_keys (
    organization TEXT NOT NULL,
    version INTEGER NOT NULL,
    wrapped_by TEXT NOT NULL,
    ciphertext BLOB NOT NULL,
    PRIMARY KEY (organization, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE sealed_secrets (
    organization TEXT NOT NULL,
    record TEXT NOT NULL,
    field TEXT NOT NULL,
    data_key_version INTEGER NOT NULL,
    ciphertext BLOB NOT NULL,
    PRIMARY KEY (organization, record, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE connections (
    id TEXT PRIMARY KEY,
    organization TEXT NOT NULL,
    provider TEXT NOT NULL,
    name TEXT NOT NULL,
    account TEXT,
    base_url TEXT,
    backfill_days INTEGER NOT NULL,
    interval_minutes INTEGER NOT NULL,
    status TEXT NOT NULL,
    last_sync_at INTEGER,
    complete_through INTEGER,
    error TEXT,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX connections_by_organization ON connections (organization, id);

CREATE TABLE syncs (
    id TEXT PRIMARY KEY,
    organization TEXT NOT NULL,
    connection TEXT NOT NULL,
    window_start INTEGER,
    window_end INTEGER,
    state TEXT NOT NULL,
    progress TEXT NOT NULL,
    charges_written INTEGER NOT NULL,
    issues TEXT NOT NULL,
    error TEXT,
    created_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX syncs_by_connection ON syncs (connection, id);
CREATE UNIQUE INDEX syncs_open ON syncs (connection) WHERE state IN ('queued', 'running');

CREATE TABLE schedule (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    failure_count INTEGER NOT NULL,
    -- Of the last lease; it is held while `leased_until` is set.
    fence INTEGER NOT NULL,
    leased_until INTEGER,
    -- The earliest time that was asked for during a run.
    asked_at INTEGER,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedule_by_due_at ON schedule (due_at);

CREATE TABLE runs (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    fence INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    error TEXT,
    missed_count INTEGER NOT NULL,
    next_due_at INTEGER,
    PRIMARY KEY (kind, subject, fence)
) STRICT, WITHOUT ROWID;

CREATE TABLE uploaded_files (
    id TEXT PRIMARY KEY,
    organization TEXT NOT NULL,
    name TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    provider TEXT,
    account TEXT,
    on_error TEXT NOT NULL,
    state TEXT NOT NULL,
    bytes_parsed INTEGER NOT NULL,
    report TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX uploaded_files_by_organization ON uploaded_files (organization, id);
CREATE UNIQUE INDEX uploaded_files_by_content ON uploaded_files (organization, sha256)
    WHERE state <> 'failed';

-- The last generation given to a commit.
CREATE TABLE charge_generations (
    organization TEXT PRIMARY KEY,
    generation INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An account and a feed, once, so that a block is a short row.
CREATE TABLE charge_streams (
    number INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    provider TEXT NOT NULL,
    account TEXT NOT NULL,
    feed TEXT NOT NULL,
    UNIQUE (organization, provider, account, feed)
) STRICT;

CREATE TABLE charge_batches (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    organization TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Null while staged.
    generation INTEGER
) STRICT;
CREATE INDEX charge_batches_by_source ON charge_batches (source);

-- Clustered by day, and without the columns' bytes: finding the blocks of a year reads few pages.
CREATE TABLE charge_blocks (
    stream INTEGER NOT NULL REFERENCES charge_streams (number),
    day INTEGER NOT NULL,
    part INTEGER NOT NULL,
    batch INTEGER NOT NULL REFERENCES charge_batches (number),
    row_count INTEGER NOT NULL,
    is_complete INTEGER NOT NULL,
    digest BLOB NOT NULL,
    content INTEGER NOT NULL,
    PRIMARY KEY (stream, day, part, batch)
) STRICT, WITHOUT ROWID;
CREATE INDEX charge_blocks_by_batch ON charge_blocks (batch);

-- Two tables, so that reading one half of a block's columns does not pass over the other.
CREATE TABLE charge_cores (
    number INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE charge_details (
    number INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE audit_entries (
    organization TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    ip TEXT,
    at INTEGER NOT NULL,
    previous_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (organization, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotent_requests (
    key BLOB PRIMARY KEY,
    body_sha256 BLOB NOT NULL,
    seed BLOB NOT NULL,
    -- A try goes on until then; null where none does.
    pending_until INTEGER,
    expires_at INTEGER NOT NULL,
    -- The answer, once there is one.
    status INTEGER,
    content_type TEXT,
    body BLOB
) STRICT;
CREATE INDEX idempotent_requests_by_expiry ON idempotent_requests (expires_at);
