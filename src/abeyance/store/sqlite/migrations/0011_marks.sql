-- What is true of the store as a whole, and who may use it. Additive: what is above stays as it is.

-- That it is a copy, that it has moved elsewhere: such a store is not served.
CREATE TABLE mark (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The newest schema that the oldest program knows which may still run on this one; where it is
-- not said, none but those that know this one.
ALTER TABLE schema_version ADD COLUMN oldest INTEGER;
