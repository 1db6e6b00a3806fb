"""The World Action Model at work: it acts in environments, dreams beside, and is trained from demonstrations."""
