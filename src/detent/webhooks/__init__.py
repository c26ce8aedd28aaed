"""Webhooks: other programs are told of events, as CloudEvents that are signed.

A *webhook* is an address and a place in the journal: the journal is the queue, so that nothing is
missed and nothing is told before it is durable. A *delivery* is one try to tell of one event. An
event is told again until the receiver accepts it, and may therefore arrive twice, under one id.
"""
