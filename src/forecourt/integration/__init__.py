"""What knows both sides: virtual tables (live) and, beside them, the engines that keep copies in step."""
