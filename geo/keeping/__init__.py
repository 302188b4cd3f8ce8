"""Keeping an installation: backups and restoring them, upgrades, a look at its health.

Everything here works on whole databases as their owner, never on behalf of a request.
"""
