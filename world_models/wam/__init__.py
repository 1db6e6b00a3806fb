"""The World Action Model: one network that dreams the next frames and decodes the next actions together."""
