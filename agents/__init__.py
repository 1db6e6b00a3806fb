"""Agents: scripted experts and learned policies."""
