"""Policies: what an alias demands of a version before it is activated.

A *rule* is one demand, a pure function of evidence. A *policy* is the rules of an alias. The
*gate* applies them and gives a *decision*: pass, fail or inconclusive, with reasons.
"""
