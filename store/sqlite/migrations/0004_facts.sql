-- What the journal's decisions become, and the processes that share the store. Numbers of 128 bits
-- are 16 bytes that sort as the numbers do.

-- How far a shard's journal is in the facts; the number stands for the shard in the other tables.
CREATE TABLE fact_checkpoints (
    number INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    environment TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    UNIQUE (organization, environment)
) STRICT;

-- Bytes in pieces, apart from what points to them, so that reading heads touches no bodies.
CREATE TABLE fact_bodies (
    number INTEGER PRIMARY KEY
) STRICT;
CREATE TABLE fact_pieces (
    body INTEGER NOT NULL,
    piece INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (body, piece)
) STRICT;

-- Kind: 'events' or 'sums'.
CREATE TABLE fact_blocks (
    shard INTEGER NOT NULL,
    kind TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    at_min INTEGER NOT NULL,
    at_max INTEGER NOT NULL,
    arrived_min INTEGER NOT NULL,
    arrived_max INTEGER NOT NULL,
    body INTEGER NOT NULL,
    PRIMARY KEY (shard, kind, last_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE fact_id_runs (
    shard INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    arrived_max INTEGER NOT NULL,
    body INTEGER NOT NULL,
    head BLOB NOT NULL,
    PRIMARY KEY (shard, last_seq)
) STRICT;

CREATE TABLE fact_windows (
    shard INTEGER NOT NULL,
    policy INTEGER NOT NULL,
    start_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    used BLOB NOT NULL,
    late BLOB NOT NULL,
    PRIMARY KEY (shard, policy, start_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE fact_crossings (
    shard INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (shard, seq, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE nodes (
    id BLOB PRIMARY KEY,
    address TEXT,
    format INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: what the processes know each other by, sealed.
CREATE TABLE cluster_secrets (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    ciphertext BLOB NOT NULL
) STRICT;
