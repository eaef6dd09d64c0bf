"""The only code that speaks SQL: plan to SQL to rows, the embedded engine, migrations, and the in-memory oracle."""
