"""What vectorbt compiles is kept apart from our kernels, whichever of them was decorated last."""

from __future__ import annotations

import numba.core.config
from numba.core.caching import NullCache

from dolphin.core.jit import cache_folder
from dolphin.study.findings.peer import muted, vectorbt


def test_what_vectorbt_compiles_lies_in_a_folder_of_its_own() -> None:
    before = numba.core.config.CACHE_DIR
    assert vectorbt() is vectorbt() and before == numba.core.config.CACHE_DIR
    with muted():
        from vectorbt.portfolio import nb
    caches = [value._cache for value in vars(nb).values() if hasattr(value, "_cache")]
    kept = [cache.cache_path for cache in caches if not isinstance(cache, NullCache)]
    assert kept and all(path.startswith(str(cache_folder("vectorbt"))) for path in kept)
