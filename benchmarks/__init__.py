"""How fast and how large, as ratios to a limit or a peer measured in the same run.

`make bench` runs all of it and prints one table. Times of a shared machine mean little by
themselves: each measurement is interleaved with its peer's, and the medians are divided.
"""
