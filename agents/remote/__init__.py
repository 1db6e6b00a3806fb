"""Policies of other projects, in processes of their own: agents that ask a server, in that server's own protocol."""
