from __future__ import annotations

import pytest

import dolphin.live


def test_every_public_name_is_there():
    assert dolphin.live.__all__ == sorted(dolphin.live.__all__)
    for name in dolphin.live.__all__:
        assert getattr(dolphin.live, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        dolphin.live.nothing  # noqa: B018
