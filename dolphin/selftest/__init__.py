"""The mutation proof of the ladder: faults switched on one at a time, each to be caught where it is expected.

``dolphin.selftest.faults`` holds them, ``dolphin.selftest.detectors`` what is to catch them.
"""
