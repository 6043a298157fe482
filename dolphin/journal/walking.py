"""Kernels that walk through a journal in memory: where its records are, and the values of one field of many."""

from __future__ import annotations

from dolphin.core.jit import kernel


@kernel(_nrt=False)
def walk(words, at, fronts, lengths, sizes, places, which):  # type: ignore[no-untyped-def]
    """Records from word ``at`` on, as long as each begins like one of ``fronts`` and is whole.

    Parameters
    ----------
    words : uint64 [W]
        The file.
    fronts : uint64 [K, L]
        What records begin with, and ``lengths`` [K] how many words of it count; ``sizes`` [K] their words.
    places, which : int64 [M]
        Receive the first word and the kind of front of each record.

    Returns
    -------
    found, at : int
        Records, at most M, and the word after the last.
    """
    found, kind = 0, 0
    while found < places.shape[0] and at < words.shape[0]:
        match = -1
        for turn in range(fronts.shape[0]):
            k = (kind + turn) % fronts.shape[0]  # most records are like the one before
            if at + sizes[k] > words.shape[0]:
                continue
            j = 0
            while j < lengths[k] and words[at + j] == fronts[k, j]:
                j += 1
            if j == lengths[k]:
                match = k
                break
        if match < 0:
            break
        places[found] = at
        which[found] = match
        kind = match
        at += sizes[match]
        found += 1
    return found, at


@kernel(_nrt=False)
def gather(words, places, offset, out):  # type: ignore[no-untyped-def]
    """``out[k]`` (R, C) is what stands ``offset`` words into the record at word ``places[k]``."""
    for k in range(places.shape[0]):
        at = places[k] + offset
        for j in range(out.shape[1]):
            out[k, j] = words[at + j]
