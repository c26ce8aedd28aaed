"""The vocabulary: frozen values, and the pure rules that need nothing but them.

A *model* is a name and the *versions* registered under it. A version is one immutable number
and *manifest*. An *alias* is a movable name within a model; each move is an *activation*, and
the newest activation says which version is active. An *event* is an immutable fact in the
journal. Only the standard library is imported here, so that a command starts quickly.
"""
