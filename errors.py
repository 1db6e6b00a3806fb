"""The exceptions PocketWorlds raises on bad input: each message says what was wrong, where, and what to do."""


class PocketWorldsError(Exception):
    """Base of every error a user can cause; the command line prints its message and exits with 2."""


class CaptureError(PocketWorldsError, ValueError):
    """A capture cannot be read, or cannot be rebuilt (unknown format, missing poses, no depth, ...)."""


class SceneError(PocketWorldsError, ValueError):
    """A scene folder, object or joint is invalid."""


class TaskError(PocketWorldsError, ValueError):
    """An environment keyword is invalid, or no object of the scene suits the task."""


class MissingDependencyError(PocketWorldsError, RuntimeError):
    """A library or a system package is missing; the message names the package to install."""


class DatasetError(PocketWorldsError, ValueError):
    """Recorded trajectories cannot be written, read or replayed; the message names the file and the reason."""


class AssetError(PocketWorldsError, ValueError):
    """An asset of the library cannot be made, read or found; the message names the category, size or file."""


class CheckpointError(PocketWorldsError, ValueError):
    """A checkpoint of a model cannot be used: it is damaged, or for something else."""


class TrainingError(PocketWorldsError, RuntimeError):
    """A training cannot go on; the last good state is kept."""


class SuiteError(PocketWorldsError, ValueError):
    """A suite of the leaderboard, or results of one, cannot be used: damaged, tampered with, or not what it was."""


class AgentError(PocketWorldsError, RuntimeError):
    """An agent of the leaderboard cannot be had, dies, or answers nonsense; the message says which, and what to do."""
