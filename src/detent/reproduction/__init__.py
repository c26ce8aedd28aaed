"""Rebuilding a version from its lineage, and saying whether it is the same.

The commit is checked out into a folder of its own, the recorded packages are installed unless they
are here already, and the recorded command runs. Whatever registry it names, it meets one in that
folder (``DETENT_REPRODUCING``), so nothing is registered anywhere else.
"""
