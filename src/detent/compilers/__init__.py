"""Compiled forms: the same answers as the original, sooner.

A *compiler* turns a model into one file of data, its *compiled form*, which a fast runtime answers
from. The original is always loaded beside it: what the form does not take (a column of another
name, an infinity) the original answers, or refuses, as it would have without a form. A form that
answers otherwise than the original is never registered.
"""
