"""Is there an edge: the statistics of the gate, one module each, and what they say of a candidate.

The modules with formulas are pure: arrays in, numbers out, a seed wherever chance comes in.
"""
