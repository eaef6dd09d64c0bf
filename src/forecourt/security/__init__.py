"""Who may do what, decided in one place: grants, policies, table permissions; enforce, explain, audit."""
