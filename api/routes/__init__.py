"""One module for each subject's routes."""
