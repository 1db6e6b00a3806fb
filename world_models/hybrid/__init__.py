"""The hybrid simulator: geometry that is known, dynamics that are learned."""
