-- The engine's own file: journals and snapshots. A place is a journal's number times 2^40 plus the
-- entry's sequence, so that one tree holds all entries, each journal's side by side.

CREATE TABLE schema_migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 BLOB NOT NULL
) STRICT;

-- One for each incarnation of a shard's journal; the highest counts. Entries up to the floor may be
-- gone; where a journal was begun anew, the floor's batch is the one that its first entry follows.
CREATE TABLE journals (
    number INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    environment TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    floor INTEGER NOT NULL,
    begun_after INTEGER NOT NULL,
    begun_after_batch BLOB NOT NULL,
    UNIQUE (organization, environment, incarnation)
) STRICT;

CREATE TABLE entries (
    place INTEGER PRIMARY KEY,
    batch BLOB NOT NULL,
    previous BLOB NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE manifests (
    organization TEXT NOT NULL,
    environment TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    batch BLOB NOT NULL,
    format INTEGER NOT NULL,
    chunk_count INTEGER NOT NULL,
    byte_count INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (organization, environment, incarnation, seq)
) STRICT, WITHOUT ROWID;

-- A chunk is cut into pieces, each its own commit, so that appends get in between.
CREATE TABLE snapshot_pieces (
    organization TEXT NOT NULL,
    environment TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    piece INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (organization, environment, incarnation, seq, chunk, piece)
) STRICT;
