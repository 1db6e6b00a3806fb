"""Digital cousins: variants of a scene that keep what a task depends on and vary the rest."""
