"""Questions about many people at once, each answered by one statement."""
