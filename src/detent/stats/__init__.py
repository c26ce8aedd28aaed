"""Statistics: pure mathematics for comparing two versions, on finished data and label by label.

A *baseline* and a *candidate* answer the same rows, so everything here is *paired*. A row that
only the baseline gets right is *newly wrong*, one that only the candidate gets right is *newly
right*; a *difference* is candidate minus baseline, so that above 0 is better. A *claim* is what
the rows are asked to show. An *interval* has a *confidence*: the share of data sets on which it
holds the truth. *Evidence* (an e-value) may be looked at after every label; it exceeds 1 / alpha
with a probability of at most alpha, however long one looks, where its claim is untrue.

Nothing here reads a clock, a disk or unseeded randomness: equal arguments give equal results. A
result is never NaN: what cannot be computed is an ``InvalidError``. NumPy is imported by the
modules that take arrays, and by no other; this package imports nothing.

========================= ======================================================================
counts                    the four counts of two versions that are right or wrong on the same rows
mcnemar, proportions      whether they differ, and by how much
planning, power           how many rows would show it; what a rule does over all tables
auc, auc_bootstrap        areas under ROC curves (DeLong)
means, signs, bootstrap   means of differences of per-row losses
losses, groups            the losses of each row; rows that are not independent
cells, resampling         F1 and other metrics of the counts of (true, baseline, candidate)
count_metrics             those metrics
multiplicity              many questions asked of one data set
evidence, detector        evidence label by label, and the detector after an activation
traffic                   whether requests are split as they should be
confidence_sequences      intervals that hold at every time
group_sequential          a planned number of looks
drift, calibration        inputs that change; probabilities that do not mean what they say
========================= ======================================================================
"""
