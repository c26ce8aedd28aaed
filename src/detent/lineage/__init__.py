"""Lineage: what is recorded about a version without being asked.

The *code* that trained it (a commit, and a *patch* of what was not committed; in a notebook the
*cells*), the *packages* that were imported, the *parameters* and *seed* of the estimator, the
*recipe* (the command that ran), the *data*, and the *signature* (what the model takes and gives).
Recording reads, and never fails a registration over something it cannot find out.
"""
