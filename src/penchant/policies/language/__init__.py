"""A language model acts on preferences: axes of pure functions, of which methods are made."""
