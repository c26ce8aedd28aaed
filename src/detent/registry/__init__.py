"""The heart: register, activate, roll back, read, verify and prune, over two stores.

`Stores` holds the database, the blobs, the clock and the actor. Each function here is one
operation of a registry: it makes its change in one transaction, with the journal's event in
it, or changes nothing. Which version a rollback returns to and whether a gate passes are
decided by pure functions in ``domain`` and ``policy``; this package acts.
"""
