-- Which process does what only one of them shall do, and until when. Additive.
-- runs with programs of schema 11

CREATE TABLE lease (
    work   TEXT NOT NULL PRIMARY KEY,
    holder BLOB NOT NULL,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
