"""OpenEXR depth through FFmpeg, which PyAV brings along: no further dependency for one format."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ...errors import CaptureError
from .images import MAX_DEPTH_PIXELS

EXR_MAGIC = b"\x76\x2f\x31\x01"


def exr_depth(data: bytes, where: str) -> NDArray[Any]:
    """Float32 [h, w] of a grey EXR, or the first channel of a colour one.

    Raises:
        CaptureError: if it is no EXR with floating-point pixels.
    """
    if not data.startswith(EXR_MAGIC):
        raise CaptureError(f"{where}: not an OpenEXR image")
    try:
        with av.open(io.BytesIO(data), mode="r", format="exr_pipe") as container:
            stream = container.streams.video[0]
            if (
                stream.codec_context is None
                or stream.codec_context.width * stream.codec_context.height > MAX_DEPTH_PIXELS
            ):
                raise CaptureError(f"{where}: not an image, or too many pixels for depth")
            frame = next(container.decode(stream), None)
            if frame is None or frame.width * frame.height > MAX_DEPTH_PIXELS:
                raise CaptureError(f"{where}: no picture in the EXR file")
            if frame.format.name not in {"grayf32le", "gbrpf32le", "gbrapf32le"}:
                raise CaptureError(f"{where}: EXR pixels of type {frame.format.name}; expected 32-bit floats")
            values = frame.to_ndarray()
    except av.FFmpegError as error:
        raise CaptureError(f"{where}: cannot be decoded ({error})") from error
    return np.asarray(values if values.ndim == 2 else values[..., 0], dtype=np.float32)
