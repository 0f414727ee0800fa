"""Decisions that are taken once: shares under a change, who gains, who loses."""
