"""Real to sim: a phone capture becomes a `Scene`."""
