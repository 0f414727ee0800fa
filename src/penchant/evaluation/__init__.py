"""Procedures: cross-validation, held-out people, reports."""
