"""Methods of the literature, each a choice of credit, ratio and mean."""
