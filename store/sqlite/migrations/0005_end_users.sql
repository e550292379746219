-- Whose numbers the end users of the journal and the facts are.

CREATE TABLE end_users (
    organization TEXT NOT NULL,
    environment TEXT NOT NULL,
    external_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (organization, environment, external_id),
    UNIQUE (organization, environment, number)
) STRICT, WITHOUT ROWID;

-- The last number of each shard. It stays when an end user goes: no number is given twice.
CREATE TABLE end_user_counters (
    organization TEXT NOT NULL,
    environment TEXT NOT NULL,
    last_number INTEGER NOT NULL,
    PRIMARY KEY (organization, environment)
) STRICT, WITHOUT ROWID;

-- Numbers up to this may have been given by a store of which this one is a backup.
CREATE TABLE end_user_floor (
    floor INTEGER NOT NULL
) STRICT;
INSERT INTO end_user_floor (floor) VALUES (0);
