"""Small tasks in text whose answers can be checked: test beds for language policies."""
