"""Reports: values as pages, as Markdown and as what a notebook shows.

A *report* is one comparison, or one ranking, with the answers and the lineage behind it. It is made
from values alone and says the same as the command line, in the same words. Text of users is
escaped in one place, `markup`, by construction.
"""
