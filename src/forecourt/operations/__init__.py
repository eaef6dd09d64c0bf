"""The operations side: data entities, legal entities, roles, policies, and their OData service at ``/data``."""
