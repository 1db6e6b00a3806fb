"""The leaderboard as a folder of web pages: `write` makes it, `collect` reads submissions, `board` ranks them, `pages`
draws.

Pages need no server, no network and no script: they open from a disk, and with JavaScript tables can be sorted and
filtered, too. All that a submission says is taken for hostile: it is checked, escaped, and never names a file.
"""
