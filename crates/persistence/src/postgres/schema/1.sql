-- The first schema. FORMAT.md describes what is in the tables.
CREATE SCHEMA IF NOT EXISTS quire;

CREATE TABLE quire.format (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version integer NOT NULL
);
INSERT INTO quire.format (version) VALUES (1);

CREATE TABLE quire.usage (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    term bigint NOT NULL,
    sole boolean NOT NULL,
    restoring boolean NOT NULL
);
INSERT INTO quire.usage (term, sole, restoring) VALUES (0, false, false);

CREATE TABLE quire.documents (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    log_bytes bigint NOT NULL,
    generation bigint NOT NULL,
    snapshot_seq bigint NOT NULL,
    snapshot_bytes bigint NOT NULL,
    crc bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE quire.updates (
    number bigint NOT NULL,
    seq bigint NOT NULL,
    chunk integer NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (number, seq, chunk)
);

CREATE TABLE quire.snapshots (
    number bigint NOT NULL,
    generation bigint NOT NULL,
    chunk integer NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (number, generation, chunk)
);

-- Updates are small or packed already: the server need not try to press them.
ALTER TABLE quire.updates ALTER COLUMN record SET STORAGE EXTERNAL;
ALTER TABLE quire.snapshots ALTER COLUMN record SET STORAGE EXTERNAL;

CREATE TABLE quire.tombstones (
    name text COLLATE "C" PRIMARY KEY,
    deleted bigint NOT NULL,
    record bytea NOT NULL
);

CREATE TABLE quire.inboxes (
    username text COLLATE "C" PRIMARY KEY,
    record bytea NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE quire.notifications (
    username text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    key bytea,
    expires bigint NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (username, number)
);
CREATE UNIQUE INDEX notifications_key ON quire.notifications (username, key) WHERE key IS NOT NULL;
CREATE INDEX notifications_expires ON quire.notifications (expires);

CREATE TABLE quire.revocations (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    version bigint NOT NULL,
    record bytea NOT NULL
);
