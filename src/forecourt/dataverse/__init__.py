"""The Dataverse side: tables, choices, views, forms, virtual tables, and the Web API at ``/api/data/v9.2``."""
