"""Native protection in PostgreSQL: what is made of it (``pieces``), how it is written (``rendering``), what is there
(``state``), and what lies between the two (``service``)."""
