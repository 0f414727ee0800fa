"""What lies between beliefs and people: asking, remembering, acting in sessions."""
