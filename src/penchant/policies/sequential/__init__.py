"""Decisions over time: what to do now, with what is left for later."""
