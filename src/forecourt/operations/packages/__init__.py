"""Data packages and recurring jobs: rows of data entities as files, in and out, through the gate as a job's owner."""
