"""Pixel EDM: a small diffusion model of pictures, after DIAMOND (Alonso et al., arXiv:2405.12399)."""
