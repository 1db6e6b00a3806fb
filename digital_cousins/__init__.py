"""Digital cousins: variants of a scene whose objects are others of the same category, shape and use."""
