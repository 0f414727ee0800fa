"""What can go wrong. Every message says what was got, what was expected and how to mend it."""


class PenchantError(Exception):
    """The root of every error that penchant raises on purpose."""


class DataError(PenchantError, ValueError):
    """The data, or its description, does not say what a model needs."""


class ConfigError(PenchantError, ValueError):
    """An option was given a value that it cannot take."""


class FitError(PenchantError, ArithmeticError):
    """A fit ran into numbers that are not finite; nothing it could return would mean anything."""


class NotFittedError(PenchantError, AttributeError):
    """An estimator was asked for what only `fit` can tell it."""


class BeliefError(PenchantError, ValueError):
    """A belief's folder is missing, damaged, or from another version."""


class MissingExtraError(PenchantError, ImportError):
    """An optional package is needed; the message names the extra that brings it."""


class EndpointError(PenchantError, OSError):
    """A server that was asked did not answer, or answered something else."""
