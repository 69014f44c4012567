-- What is true of the store as a whole, and who may use it.

-- That it is a copy, that it has moved elsewhere: such a store is not served.
CREATE TABLE mark (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

-- The newest schema that the oldest program knows which may still run on this one; where it is
-- not said, none but those that know this one.
ALTER TABLE schema_version ADD COLUMN oldest BIGINT;
