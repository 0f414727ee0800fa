"""Ready estimators, one page each."""
