"""Shapes are checked while testing: every jaxtyping annotation of penchant is enforced here."""

import signal

from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("penchant", "shape_checks.check")

# A first call may compile a kernel or meet a busy machine: a slow example is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# Whatever a shell starts in the background ignores Ctrl-C, and so would every command under test.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
