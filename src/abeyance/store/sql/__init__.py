"""What every store on a relational database does, once: operations in SQL over a `Db`.

`store` is their facade, `changes` the one write; an engine brings a `Db`, its transactions and
what it remembers between them.
"""
