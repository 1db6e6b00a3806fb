"""NumPy arrays as Arrow columns and back, exactly, and Parquet files that start anew when they get big."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dataset import need
from .trajectory import Array


def to_column(values: Array) -> Any:
    """An Arrow array of T rows from (T, ...): scalars for (T,) and (T, 1), else fixed-size lists within lists."""
    pa = need("pyarrow")
    shape = values.shape[1:]
    column = pa.array(np.ascontiguousarray(values).reshape(-1))
    if shape in ((), (1,)):
        return column
    for length in reversed(shape):
        column = pa.FixedSizeListArray.from_arrays(column, length)
    return column


def from_column(column: Any, shape: tuple[int, ...], dtype: str) -> Array:
    """(T, *shape) from a column of scalars or nested lists.

    Raises:
        ValueError: the rows have another shape.
    """
    pa = need("pyarrow")
    rows = len(column)
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(chunk, pa.ExtensionArray):
        chunk = chunk.storage
    while pa.types.is_nested(chunk.type):
        chunk = chunk.flatten()
    values: Array = chunk.to_numpy(zero_copy_only=False).astype(dtype, copy=False)
    return values.reshape(rows, *shape)


def to_png(picture: NDArray[np.uint8]) -> dict[str, Any]:
    """A picture as Hugging Face's `Image` feature stores it: PNG bytes, and no path."""
    image = need("PIL.Image")
    buffer = io.BytesIO()
    image.fromarray(picture).save(buffer, format="PNG", compress_level=3)
    return {"bytes": buffer.getvalue(), "path": None}


def from_png(stored: Mapping[str, Any]) -> NDArray[np.uint8]:
    """The inverse of `to_png`; any format Pillow reads."""
    image = need("PIL.Image")
    return np.asarray(image.open(io.BytesIO(stored["bytes"])).convert("RGB"))


class FileCounter:
    """Numbers files by chunk, as LeRobot does: `chunk-000/file-000`, a thousand files a chunk."""

    def __init__(self, chunk_size: int) -> None:
        self._chunk_size = chunk_size
        self.chunk = self.file = 0

    def next(self) -> None:
        """Goes on to the next file."""
        self.file += 1
        if self.file == self._chunk_size:
            self.chunk, self.file = self.chunk + 1, 0


class TableWriter:
    """Appends tables of one schema to Parquet files, each append a row group, a new file after `most` bytes.

    Attributes:
        counter: the number of the file the last table went to.
    """

    def __init__(self, folder: Path, pattern: str, most: int, chunk_size: int) -> None:
        """Writes to `folder / pattern.format(chunk_index=..., file_index=...)`."""
        self.counter = FileCounter(chunk_size)
        self._folder, self._pattern, self._most = folder, pattern, most
        self._writer: Any = None
        self._path = folder

    def append(self, table: Any) -> None:
        """Writes a table."""
        pq = need("pyarrow.parquet")
        if self._writer is not None and self._path.stat().st_size >= self._most:
            self.close()
            self.counter.next()
        if self._writer is None:
            self._path = self._folder / self._pattern.format(
                chunk_index=self.counter.chunk, file_index=self.counter.file
            )
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                self._path, table.schema, compression="zstd", write_page_checksum=True, write_statistics=True
            )
        self._writer.write_table(table)

    def close(self) -> None:
        """Finishes the current file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def read_table(path: Path, **keywords: Any) -> Any:
    """A Parquet file as an Arrow table, its checksums verified where it has them."""
    return need("pyarrow.parquet").read_table(
        path, page_checksum_verification=True, partitioning=None, use_threads=False, **keywords
    )
