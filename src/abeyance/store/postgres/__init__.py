"""PostgreSQL: any number of processes over one database.

`engine` runs the operations that stand once for every store, `schema` makes the tables,
`wakes` tells other processes what has moved, `replay` remembers for all of them.
"""
