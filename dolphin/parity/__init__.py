"""What research decided is what live does, and where it is not, the first difference is named.

``dolphin.parity.ladder`` climbs the rungs, ``dolphin.parity.divergence`` compares two runs,
``dolphin.parity.checks`` looks for look-ahead, warm-up dependence and rewritten rows.
"""
