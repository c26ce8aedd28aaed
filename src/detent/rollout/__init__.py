"""Rolling a candidate out in phases, and going back by itself when it is worse.

A *plan* says how a rollout goes and what it may cost. While it runs, each process that answers
keeps what both versions answered in the store of *predictions*, where *labels* join them later.
`counting` takes both into a few numbers; a *monitor* turns those into *signals*: harm, safe, or
open. From the signals, `state` decides the next *move*: stay (and wait for what), go on, pause, go
back. All three are pure. A *driver* acts, and of all processes that could, one does at a time. A
*trial* is what a rollout is inside a process that answers: the candidate's slot, the requests that
it gets, its *shadow*.
"""
