"""The one boundary where decoder exceptions become `CaptureError`.

Every file of a capture comes from outside, so any decoder may fail on it. `open_capture` and every lazy loader run
inside `reading(...)`, which turns the exceptions that *decoders* raise on bad bytes into one `CaptureError`. What is
not listed in `DECODER_ERRORS` (`KeyError`, `TypeError`, `AttributeError`, ...) is a fault of a reader and passes
through: readers check values with `parse` instead of relying on this net. Libraries with exception types of their own
(PyAV, LZFSE, trimesh) are converted where they are called.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from PIL import Image as PILImage

from ...errors import CaptureError

T = TypeVar("T")

DECODER_ERRORS: tuple[type[Exception], ...] = (
    OSError,  # unreadable files, and Pillow on broken images
    EOFError,  # truncated streams
    ValueError,  # JSON, UTF-8, NumPy (JSONDecodeError and UnicodeDecodeError are ValueErrors)
    SyntaxError,  # Pillow on broken PNG chunks, NumPy on broken .npy headers
    OverflowError,  # numbers too large for a float
    RecursionError,  # JSON nested thousands deep
    MemoryError,  # sizes no machine has
    RuntimeError,  # libheif, encrypted zip members, compression methods Python does not know
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    PILImage.DecompressionBombError,
)


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Turns a decoder's exception into a `CaptureError` that names `where`.

    Raises:
        CaptureError: for any of `DECODER_ERRORS`; a `CaptureError` from inside passes unchanged.
    """
    try:
        yield
    except CaptureError:
        raise
    except DECODER_ERRORS as error:
        raise CaptureError(
            f"{where}: cannot be read ({reason(error)}); damaged or incomplete: copy the capture off the phone again"
        ) from error


def reason(error: Exception) -> str:
    """A decoder's message on one line, at most 200 characters."""
    try:
        text = str(error)
    except UnicodeDecodeError:  # OpenUSD quotes the damaged bytes
        text = ""
    return " ".join(text.split())[:200] or type(error).__name__


def lazy(where: str, load: Callable[[], T]) -> Callable[[], T]:
    """Wraps a loader so that it raises nothing but `CaptureError`."""

    def loader() -> T:
        with reading(where):
            return load()

    return loader
