"""Evaluation: what a version answers on a dataset, and how two versions differ on the same rows.

An *evaluation* keeps metrics and the outcome of every row, so that a later *comparison* needs
neither the model nor the data again.
"""
