"""The leaderboard: `run` plays a suite with an agent, `results` is what is written down, `summary` what it comes to."""
