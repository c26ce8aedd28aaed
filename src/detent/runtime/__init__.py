"""Answering with what an alias holds, and changing it while answering.

A *slot* holds one version: loaded from verified bytes, warmed on its sample, its answers checked
against its signature. A *deployment* is one alias in one process: the slot that answers and the one
that a rollback would return to. A *follower* looks at the registry and moves its deployments; it
says what they answer with in the registry's table of *servers*. The *fence* is the other
side of that table: a change waits there until every server has acknowledged it. `Live` is all of
this inside a user's own process.
"""
