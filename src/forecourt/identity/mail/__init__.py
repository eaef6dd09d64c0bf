"""Mail to people: what is written (``letters``), kept till it is sent (``outbox``), carried (``sender``, ``smtp``)."""
