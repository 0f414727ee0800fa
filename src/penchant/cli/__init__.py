"""The command line: a file in, a table and a folder out."""
