"""Who differs, and how."""
