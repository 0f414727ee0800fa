"""What others call: rewards over HTTP, line by line, and as the functions that trainers take."""
