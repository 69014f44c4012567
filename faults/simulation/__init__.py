"""Lane A: whole worlds of hosts, clients and reviewers in one process, by a seed.

Time is virtual, so that an hour passes in milliseconds; every delay, fault and choice comes
from the seed, so that a world can be run again exactly. What runs is the server itself, from
the ASGI call to the SQL; only its clock, chance, network and disk are ours.
"""
