"""The pages: what is active, since when, by whom and why; compare, activate, roll back.

Made on the server from the same `Registry` that everything else uses. Reading and changing work
without scripts; the one script opens forms in place and says when the page is out of date.
"""
