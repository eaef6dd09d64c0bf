"""The portal for people outside: the site's pages, lists and forms, sign-in, and the portal Web API ``/_api``."""
