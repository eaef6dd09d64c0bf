"""Sign-in providers of a portal: OpenID Connect, authorization code flow with PKCE."""
