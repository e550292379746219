-- What organizations say that services and models cost them. The value is opaque text.

CREATE TABLE own_prices (
    organization TEXT NOT NULL,
    environment TEXT NOT NULL,
    service TEXT NOT NULL,
    model TEXT NOT NULL,
    value TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (organization, environment, service, model)
) STRICT, WITHOUT ROWID;

-- How often an owner's entries were changed. It stays when the last entry goes.
CREATE TABLE own_price_revisions (
    organization TEXT NOT NULL,
    environment TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (organization, environment)
) STRICT, WITHOUT ROWID;
