"""Capture readers: `open_capture(path)` recognises the format by content."""
