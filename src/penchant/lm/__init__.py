"""Language models as plain functions: log-probabilities, states, samples, templates."""
