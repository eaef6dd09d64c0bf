"""Pages about a person's own account: registration, forgotten passwords, profile. Sign-in is in ``pages.sign_in``."""
