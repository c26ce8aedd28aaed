"""Metadata: the rows that say which versions exist and what was active when.

`Metadata` (in ``base``) is the seam: a database that gives consistent reads and serialised,
durable writes. `Tables` holds every SQL statement and turns rows into domain values. What
differs between databases (connecting, locking, types) is in ``sqlite`` alone, later also in
``postgres``.
"""
