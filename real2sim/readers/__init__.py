"""Capture readers: `open_capture(path)` recognises the format by content."""

from .detect import open_capture
from .frames import validate_frames

__all__ = ["open_capture", "validate_frames"]
