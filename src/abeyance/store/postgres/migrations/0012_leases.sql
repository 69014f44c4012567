-- Which process does what only one of them shall do, and until when.
-- runs with programs of schema 11

CREATE TABLE lease (
    work   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    holder BYTEA NOT NULL,
    until  BIGINT NOT NULL
);
