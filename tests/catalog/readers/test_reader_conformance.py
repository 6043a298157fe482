from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path

import polars as pl
import pytest
from catalog.readers.conformance import PRODUCERS, Producer, seal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from dolphin.catalog import readers
from dolphin.catalog.readers import columnar, indicators, lines, reading
from dolphin.errors import DolphinError

every = pytest.mark.parametrize("producer", PRODUCERS, ids=lambda p: p.title)
few = settings(max_examples=8, suppress_health_check=list(HealthCheck))


@functools.cache
def example(frames: st.SearchStrategy[pl.DataFrame]) -> pl.DataFrame:
    """The longest of some frames, always the same."""
    found: list[pl.DataFrame] = []

    @settings(max_examples=12, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(frames)
    def draw(frame: pl.DataFrame) -> None:
        found.append(frame)

    draw()
    return max(found, key=lambda frame: frame.height)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[pl.DataFrame, Path]]:
    """A frame and its file for every producer."""
    frames = {p.title: example(p.frames) for p in PRODUCERS}
    return {p.title: (frames[p.title], p.file(frames[p.title], tmp_path_factory.mktemp("files"))) for p in PRODUCERS}


@every
def test_round_trip(producer: Producer) -> None:
    @few
    @given(producer.frames)
    def check(frame: pl.DataFrame) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = producer.file(frame, Path(folder))
            first = producer.read(path)
            assert_frame_equal(first, frame, check_exact=True)
            assert_frame_equal(producer.read(path), first, check_exact=True)

    check()


@every
def test_an_empty_file_is_refused(
    producer: Producer, files: dict[str, tuple[pl.DataFrame, Path]], tmp_path: Path
) -> None:
    path = tmp_path / files[producer.title][1].name
    path.touch()
    with pytest.raises(DolphinError, match=path.name):
        producer.read(path)


def spoil(files: dict[str, tuple[pl.DataFrame, Path]], producer: Producer, folder: str, data: bytes) -> Path:
    path = Path(folder) / files[producer.title][1].name
    path.write_bytes(data)
    if path.suffix == ".npz":
        seal(path)  # what is tested is the reader behind the checksum
    return path


@every
def test_a_cut_file_is_refused_or_shorter(producer: Producer, files: dict[str, tuple[pl.DataFrame, Path]]) -> None:
    frame, whole = files[producer.title]
    data = whole.read_bytes()

    @settings(few, max_examples=12)
    @given(st.integers(0, len(data) - 1))
    def check(length: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = spoil(files, producer, folder, data[:length])
            try:
                found = producer.read(path)
            except DolphinError as error:
                assert "\n" not in str(error) and path.name in str(error)
            else:
                assert whole.suffix not in (".parquet", ".feather", ".arrow", ".zip", ".gz", ".npz", ".xlsx")
                if not producer.cut_tells:
                    found = found.head(-1)
                assert_frame_equal(found, frame.head(found.height), check_exact=True)

    check()


@pytest.mark.slow
@every
def test_flipped_bytes_never_crash(producer: Producer, files: dict[str, tuple[pl.DataFrame, Path]]) -> None:
    if producer.allow_pickle:
        pytest.skip("a damaged pickle may do anything; that is why it is refused")
    whole = files[producer.title][1].read_bytes()

    @settings(few, max_examples=25)
    @given(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(1, 255)), min_size=1, max_size=4))
    def check(flips: list[tuple[int, int]]) -> None:
        data = bytearray(whole)
        for at, mask in flips:
            data[at] ^= mask
        with tempfile.TemporaryDirectory() as folder:
            path = spoil(files, producer, folder, bytes(data))
            try:
                producer.read(path)
            except DolphinError as error:
                assert "\n" not in str(error)

    check()


@every
def test_wrong_content_for_the_suffix(
    producer: Producer, files: dict[str, tuple[pl.DataFrame, Path]], tmp_path: Path
) -> None:
    name = files[producer.title][1].name
    for other in PRODUCERS:
        frame, path = files[other.title]
        there = tmp_path / name
        shutil.copyfile(path, there)
        if there.suffix == ".npz":
            seal(there)
        try:
            found = readers.read(there)
            rows = pl.concat(found.frames)
        except DolphinError as error:
            assert "\n" not in str(error)
        else:  # the same bytes under another suffix of their family
            assert found.kind == other.kind
            assert rows.height == frame.height


@every
def test_pieces_are_bounded_and_make_the_whole(
    producer: Producer, files: dict[str, tuple[pl.DataFrame, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, path = files[producer.title]
    assert frame.height > 2
    for module, name, value in (
        (reading, "MAX_ROWS", 2), (indicators, "MAX_ROWS", 2), (columnar, "BATCH_ROWS", 2), (lines, "BLOCK_BYTES", 64),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    pieces = list(readers.read(path, allow_pickle=producer.allow_pickle).frames)
    assert len(pieces) > 1
    assert max(piece.height for piece in pieces) <= 2
    assert_frame_equal(pl.concat(pieces), frame, check_exact=True)
