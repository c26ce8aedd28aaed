"""Comparison: what two versions answered on the same rows, and what follows from it.

*Outcomes* are the true values and a version's answers, row by row, as an evaluation keeps them.
A *pair* is the outcomes of a baseline and a candidate on the same rows. A *measure* is a metric
and the paired method that suits it. A *verdict* says of a difference whether the candidate is
better, not worse, worse, or whether these rows cannot tell. All of it is values in, values out.
"""
