"""Reinforcement learning of World Action Models, in physics or in a neural simulator."""
