"""Latent flow: frames as small grids of tokens, and a transformer that makes the next ones by flow matching."""
