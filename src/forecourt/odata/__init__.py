"""OData protocol text to kernel values and back: URLs, $metadata, JSON, paging tokens, errors. No I/O, no SQL."""
