"""The commands of `wangge`, one subject a file."""
