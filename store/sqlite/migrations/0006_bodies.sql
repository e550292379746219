-- Sealed bodies of reported calls. An entry of the journal has the id.

CREATE TABLE bodies (
    organization TEXT NOT NULL,
    environment TEXT NOT NULL,
    id BLOB NOT NULL,
    sealed_at INTEGER NOT NULL,
    is_claimed INTEGER NOT NULL,
    data_key_version INTEGER NOT NULL,
    ciphertext BLOB NOT NULL,
    PRIMARY KEY (organization, environment, id)
) STRICT;

CREATE INDEX bodies_by_age ON bodies (organization, environment, sealed_at);
CREATE INDEX bodies_unclaimed ON bodies (organization, environment, sealed_at)
    WHERE is_claimed = 0;
