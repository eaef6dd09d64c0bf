"""People and credentials: sign-in, sessions, CSRF, lockout, tokens, OIDC issuers; and the principals they give."""
