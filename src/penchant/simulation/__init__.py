"""Processes, people and worlds whose truth we know."""
