"""Decisions that are answered and taken again: explore, learn, and log with what probability."""
