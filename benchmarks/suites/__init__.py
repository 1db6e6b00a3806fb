"""Suites of the leaderboard: frozen lists of episodes, and what tells that they are what they were.

`definitions` says what each suite is made of, `freeze` writes it down as a manifest (`core-v1.json`, ...), `manifest`
reads that, and `sketch` compares worlds and initial states with it.
"""
