"""Data: tables as bytes, their digests, and what is noted about data that went into a version.

A *table* is anything with rows: a data frame, an Arrow table, an array, a sparse matrix, a dict of
columns, a list. Each has one *encoding*, ``detent.table/1``, whose bytes are the same wherever the
same values lie, so that a digest of them identifies the data. A *column* is a header entry (type
and way of lying) and the *chunks* of bytes that follow. A *source* is a file, folder or address.
"""
