"""Shapes are checked while testing: every jaxtyping annotation of penchant is enforced here."""

from jaxtyping import install_import_hook

install_import_hook("penchant", "shape_checks.check")
